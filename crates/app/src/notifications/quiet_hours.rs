//! The time of the day when only critical notifications are sent.

const DAY: u32 = 24 * 60;

/// A part of each day, which may go beyond midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: u32,
    until: u32,
}

impl QuietHours {
    /// Parses `22:00-06:00`. `None` if that is not two times of the day, or no time at all.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let hours = Self { from: parse_minute(from.trim())?, until: parse_minute(until.trim())? };
        (hours.from != hours.until).then_some(hours)
    }

    /// Returns whether a minute of the day lies in them. The last one is not quiet any more.
    #[must_use]
    pub fn contains(self, minute: u32) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// Parses a time like `6:30`; `24:00` is midnight.
fn parse_minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str, lengths: std::ops::RangeInclusive<usize>| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && lengths.contains(&digits.len())).then(|| digits.parse::<u32>().ok())?
    };
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute % DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_go_beyond_midnight() {
        let night = QuietHours::parse("22:00-06:30").unwrap();
        let quiet = [1320, 1439, 0, 389].map(|minute| night.contains(minute));
        let loud = [1319, 390, 720].map(|minute| night.contains(minute));
        assert_eq!((quiet, loud), ([true; 4], [false; 3]));
        let noon = QuietHours::parse(" 12:00 - 13:00 ").unwrap();
        assert!(noon.contains(720) && !noon.contains(780) && !noon.contains(0));
        assert!(QuietHours::parse("20:00-24:00").unwrap().contains(1439));
        assert!(!QuietHours::parse("20:00-24:00").unwrap().contains(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "22-6",
            "22:00",
            "22:00-22:00",
            "0:00-24:00",
            "24:01-1:00",
            "a:00-1:00",
            "1:60-2:00",
            "+1:00-2:00",
            "1:0-2:00",
        ] {
            assert_eq!(QuietHours::parse(text), None, "{text}");
        }
    }
}
