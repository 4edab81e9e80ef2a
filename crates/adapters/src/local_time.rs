//! Times as people write and read them where this process runs: its time zone is that of the machine (`TZ`, `/etc/localtime`).

use domain::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

/// Returns the minute of the day.
#[must_use]
pub fn minute_of_day(time: Timestamp) -> u32 {
    let Some(local) = to_zoned(time, TimeZone::system()) else { return 0 };
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    u32::try_from(minute).unwrap_or(0)
}

/// Writes a time with its offset: `2026-12-01 22:00:00 +01:00`.
#[must_use]
pub fn show_local(time: Timestamp) -> String {
    show_in(time, TimeZone::system())
}

/// Reads a time from now on: `22:00` is the next time that clocks show that, `2026-12-01 22:00` that day; with `Z` or an offset the zone does not
/// matter.
#[must_use]
pub fn read_local(text: &str, now: Timestamp) -> Option<Timestamp> {
    read_in(text.trim(), now, &TimeZone::system())
}

fn to_zoned(time: Timestamp, zone: TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(time.0).ok()?.to_zoned(zone))
}

fn show_in(time: Timestamp, zone: TimeZone) -> String {
    let shown = to_zoned(time, zone).map(|time| time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
    shown.unwrap_or_default()
}

fn read_in(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let to_time = |zoned: Zoned| Timestamp(zoned.timestamp().as_millisecond());
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(time.as_millisecond()));
    }
    if let Some(time) = read_time_of_day(text) {
        let now = to_zoned(now, zone.clone())?;
        let today = now.date().to_datetime(time).to_zoned(zone.clone()).ok()?;
        if today > now {
            return Some(to_time(today));
        }
        let tomorrow = now.date().checked_add(1.day()).ok()?;
        return Some(to_time(tomorrow.to_datetime(time).to_zoned(zone.clone()).ok()?));
    }
    // A date alone could mean its beginning or its end.
    let has_time = text.contains(':');
    let date_time: DateTime = text.parse().ok().filter(|_| has_time)?;
    Some(to_time(date_time.to_zoned(zone.clone()).ok()?))
}

/// Reads `22:00`, `7:30` or `22:00:30`.
fn read_time_of_day(text: &str) -> Option<Time> {
    let mut parts = [0_i8; 3];
    let texts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&texts.len()) {
        return None;
    }
    for (part, text) in parts.iter_mut().zip(&texts) {
        let is_number =
            (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        *part = is_number.then(|| text.parse().ok())??;
    }
    Time::new(parts[0], parts[1], parts[2], 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a time two hours east of Greenwich, at 2026-12-01 20:00 there; returns it in UTC.
    fn read(text: &str) -> Option<String> {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = Timestamp(1_796_148_000_000);
        assert_eq!(show_in(now, zone.clone()), "2026-12-01 20:00:00 +02:00");
        read_in(text, now, &zone).map(|time| show_in(time, TimeZone::UTC))
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        assert_eq!(read("22:00").as_deref(), Some("2026-12-01 20:00:00 +00:00"));
        assert_eq!(read("20:00:30").as_deref(), Some("2026-12-01 18:00:30 +00:00"));
        assert_eq!(read("20:00").as_deref(), Some("2026-12-02 18:00:00 +00:00"));
        assert_eq!(read("7:30").as_deref(), Some("2026-12-02 05:30:00 +00:00"));
    }

    #[test]
    fn a_date_is_that_of_the_place_unless_an_offset_is_given() {
        assert_eq!(read("2026-12-03 22:00").as_deref(), Some("2026-12-03 20:00:00 +00:00"));
        assert_eq!(read("2026-12-03T22:00:00").as_deref(), Some("2026-12-03 20:00:00 +00:00"));
        assert_eq!(read("2026-12-03T22:00:00Z").as_deref(), Some("2026-12-03 22:00:00 +00:00"));
        assert_eq!(read("2026-12-03T22:00-05:00").as_deref(), Some("2026-12-04 03:00:00 +00:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "22",
            "2026-12-03",
            "24:00",
            "22:60",
            "-1:00",
            "+1:00",
            "22:0x",
            "2026-13-01 22:00",
            "tomorrow",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn an_hour_that_clocks_leave_out_is_the_one_after_it() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = Timestamp(1_774_728_000_000);
        assert_eq!(show_in(now, zone.clone()), "2026-03-28 21:00:00 +01:00");
        let time = read_in("2:30", now, &zone).unwrap();
        assert_eq!(show_in(time, zone), "2026-03-29 03:30:00 +02:00");
    }
}
