//! How times are written for administrators and programs: by RFC 3339, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;

/// The last time that can be written, in ms since 1970: the end of the year 9999.
const LAST_MS: u64 = 253_402_300_799_999;

/// Writes a time in whole seconds.
pub fn format_time(time: Timestamp) -> String {
    humantime::format_rfc3339_seconds(to_system_time(time)).to_string()
}

/// Writes a time in milliseconds.
pub fn format_time_ms(time: Timestamp) -> String {
    humantime::format_rfc3339_millis(to_system_time(time)).to_string()
}

/// The nearest time that can be written.
fn to_system_time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(time.0).unwrap_or(0).min(LAST_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_can_be_written() {
        let times = [1_800_000_000_123, i64::MAX, -5].map(Timestamp);
        let seconds = ["2027-01-15T08:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"];
        assert_eq!(times.map(format_time), seconds);
        assert_eq!(format_time_ms(times[0]), "2027-01-15T08:00:00.123Z");
    }
}
