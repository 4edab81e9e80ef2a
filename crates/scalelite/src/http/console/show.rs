//! How the console shows numbers and times.

use domain::Timestamp;

use crate::output::time::format_time;

/// Shows a time, in UTC.
pub(super) fn time(at: Timestamp) -> String {
    format_time(at).trim_end_matches('Z').replace('T', " ")
}

/// Shows the time of day, in UTC.
pub(super) fn time_of_day(at: Timestamp) -> String {
    time(at).get(11..16).unwrap_or("–").to_owned()
}

/// Shows the day of the week, in UTC.
pub(super) fn weekday(at: Timestamp) -> &'static str {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let day = at.0.div_euclid(86_400_000).rem_euclid(7);
    usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or("–")
}

/// Shows how long something takes or took.
pub(super) fn duration(ms: i64) -> String {
    let seconds = (ms / 1000).max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Shows how long ago something was; a dash if it never was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    if at.0 <= 0 { "–".to_owned() } else { format!("{} ago", duration(now.ms_since(at))) }
}

/// Shows a number of bytes.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(time(Timestamp(1_700_000_000_999)), "2023-11-14 22:13:20");
        assert_eq!(time_of_day(Timestamp(1_700_000_000_999)), "22:13");
        assert_eq!(
            [0, 1_767_571_200_000, -1].map(|at| weekday(Timestamp(at))),
            ["Thu", "Mon", "Wed"]
        );
        assert_eq!(time(Timestamp(i64::MAX)), "9999-12-31 23:59:59");
        let shown = [-1, 59_999, 60_000, 3_600_000 + 120_000, 90_000_000].map(duration);
        assert_eq!(shown, ["0 s", "59 s", "1 min", "1 h 2 min", "1 d"]);
        assert_eq!(ago(Timestamp(0), Timestamp(5)), "–");
        let sizes = [1023, 1024, 5 << 20, u64::MAX].map(bytes);
        assert_eq!(sizes, ["1023 B", "1.0 KiB", "5.0 MiB", "16777216.0 TiB"]);
    }
}
