//! What several endpoints show and read: times, and fields that can be removed by null.

use std::time::UNIX_EPOCH;

use domain::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::problem::Problem;
pub(super) use crate::output::time::format_time_ms as show_time;

/// Reads a time by RFC 3339, in UTC.
pub(super) fn read_time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    let time = humantime::parse_rfc3339(text).ok();
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let ms = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    let refusal = || Problem::invalid_parameter(name, "a time such as 2026-12-01T08:00:00Z");
    ms.map(Timestamp).ok_or_else(refusal)
}

/// All fields of what a store keeps.
pub(super) fn to_record(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Tells a field that is null, and removes something, from one that is not given.
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_and_read() {
        let text = show_time(Timestamp(1_800_000_000_123));
        assert_eq!(text, "2027-01-15T08:00:00.123Z");
        assert_eq!(read_time("since", &text).ok(), Some(Timestamp(1_800_000_000_123)));
        assert!(show_time(Timestamp(i64::MAX)).starts_with("9999-"));
        assert_eq!(show_time(Timestamp(-5)), "1970-01-01T00:00:00.000Z");
        assert!(read_time("since", "yesterday").is_err());
    }
}
