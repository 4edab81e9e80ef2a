//! Conditional and range requests for a file, by RFC 9110, sections 13 and 14. A request for several
//! ranges, which players do not send, gets the whole file.

use std::time::{Duration, SystemTime};

use app::ports::ByteSpan;
use http::{HeaderMap, Method, header};

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeOutcome {
    /// All of it.
    Whole,
    /// A part.
    Part(ByteSpan),
    /// 304: it has not changed.
    NotModified,
    /// 416: there is no such part.
    NotSatisfiable,
}

/// A file as it would be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileVersion<'a> {
    /// Its tag, without quotes.
    pub(super) tag: &'a str,
    /// When it was changed last.
    pub(super) modified: Option<SystemTime>,
    /// Bytes.
    pub(super) size: u64,
}

/// Decides by the headers of a request. `in_parts` is whether there are ranges: not of what is compressed on its way.
pub(super) fn evaluate_conditions(
    method: &Method,
    headers: &HeaderMap,
    version: FileVersion<'_>,
    in_parts: bool,
) -> RangeOutcome {
    if is_not_modified(headers, version) {
        return RangeOutcome::NotModified;
    }
    // Ranges are of GET only.
    if !in_parts || method != Method::GET || !matches_if_range(headers, version) {
        return RangeOutcome::Whole;
    }
    let range = header_text(headers, header::RANGE).and_then(ByteRange::parse);
    range.map_or(RangeOutcome::Whole, |range| range.resolve(version.size))
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn is_not_modified(headers: &HeaderMap, version: FileVersion<'_>) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let mut tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
        return tags.any(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || unquote(tag) == Some(version.tag)
        });
    }
    let since = header_text(headers, header::IF_MODIFIED_SINCE).and_then(parse_date);
    match (since, version.modified) {
        (Some(since), Some(modified)) => unix_seconds(modified) <= unix_seconds(since),
        _ => false,
    }
}

/// Whether what a client has of the file is of this version, or it has nothing.
fn matches_if_range(headers: &HeaderMap, version: FileVersion<'_>) -> bool {
    let Some(before) = header_text(headers, header::IF_RANGE) else { return true };
    // A weak tag starts with `W/` and never suffices.
    match unquote(before) {
        Some(tag) => tag == version.tag,
        None => match (parse_date(before), version.modified) {
            (Some(before), Some(modified)) => unix_seconds(before) == unix_seconds(modified),
            _ => false,
        },
    }
}

fn unquote(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}

fn parse_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// HTTP knows no fractions.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs)
}

/// One range of bytes as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteRange {
    /// From there to the end, or up to and with that byte.
    From(u64, Option<u64>),
    /// So many at the end.
    Suffix(u64),
}

impl ByteRange {
    /// Reads the header; `None` for what it is to be ignored.
    fn parse(header: &str) -> Option<Self> {
        let (unit, range) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = range.trim().split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(first) || !digits(last) {
            return None;
        }
        // Numbers that are too large are beyond every end.
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        match (first, last) {
            ("", "") => None,
            ("", last) => Some(Self::Suffix(number(last))),
            (first, "") => Some(Self::From(number(first), None)),
            (first, last) if number(first) <= number(last) => {
                Some(Self::From(number(first), Some(number(last))))
            }
            _ => None,
        }
    }

    fn resolve(self, size: u64) -> RangeOutcome {
        let span = match self {
            Self::From(first, last) => {
                let to = last.map_or(size, |last| last.saturating_add(1).min(size));
                ByteSpan { start: first, end: to }
            }
            Self::Suffix(count) => ByteSpan { start: size.saturating_sub(count), end: size },
        };
        if span.start < span.end { RangeOutcome::Part(span) } else { RangeOutcome::NotSatisfiable }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const DATE: &str = "Thu, 01 Jan 1970 00:01:40 GMT";

    fn outcome_for(pairs: &[(header::HeaderName, &str)]) -> RangeOutcome {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let modified = Some(SystemTime::UNIX_EPOCH + Duration::from_millis(100_700));
        evaluate_conditions(
            &Method::GET,
            &headers,
            FileVersion { tag: "t", modified, size: 10 },
            true,
        )
    }

    fn partial(from: u64, to: u64) -> RangeOutcome {
        RangeOutcome::Part(ByteSpan { start: from, end: to })
    }

    #[test]
    fn ranges_are_resolved() {
        for (range, share) in [
            ("bytes=0-3", partial(0, 4)),
            ("bytes=4-", partial(4, 10)),
            ("bytes=-3", partial(7, 10)),
            ("bytes=-30", partial(0, 10)),
            ("bytes=9-99", partial(9, 10)),
            ("BYTES = 0-0", partial(0, 1)),
            ("bytes=10-", RangeOutcome::NotSatisfiable),
            ("bytes=-0", RangeOutcome::NotSatisfiable),
            ("bytes=99999999999999999999999-", RangeOutcome::NotSatisfiable),
            ("bytes=5-4", RangeOutcome::Whole),
            ("bytes=-", RangeOutcome::Whole),
            ("bytes=0-1,3-4", RangeOutcome::Whole),
            ("bytes=+1-2", RangeOutcome::Whole),
            ("lines=0-1", RangeOutcome::Whole),
            ("nonsense", RangeOutcome::Whole),
        ] {
            assert_eq!(outcome_for(&[(header::RANGE, range)]), share, "{range}");
        }
    }

    #[test]
    fn a_part_of_another_version_is_no_use() {
        for (before, same) in [
            ("\"t\"", true),
            ("\"u\"", false),
            ("W/\"t\"", false),
            (DATE, true),
            ("Thu, 01 Jan 1970 00:01:41 GMT", false),
            ("soon", false),
        ] {
            let got = outcome_for(&[(header::RANGE, "bytes=0-3"), (header::IF_RANGE, before)]);
            assert_eq!(got, if same { partial(0, 4) } else { RangeOutcome::Whole }, "{before}");
        }
    }

    #[test]
    fn what_has_not_changed_is_not_sent() {
        for (name, value, unchanged) in [
            (header::IF_NONE_MATCH, "\"t\"", true),
            (header::IF_NONE_MATCH, "\"a\", W/\"t\"", true),
            (header::IF_NONE_MATCH, "*", true),
            (header::IF_NONE_MATCH, "\"tt\"", false),
            (header::IF_NONE_MATCH, "t", false),
            (header::IF_MODIFIED_SINCE, DATE, true),
            (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:01:39 GMT", false),
            (header::IF_MODIFIED_SINCE, "never", false),
        ] {
            let got = outcome_for(&[(name.clone(), value)]);
            assert_eq!(got == RangeOutcome::NotModified, unchanged, "{name}: {value}");
        }
        // A tag that differs says more than a date.
        let both = [(header::IF_NONE_MATCH, "\"u\""), (header::IF_MODIFIED_SINCE, DATE)];
        assert_eq!(outcome_for(&both), RangeOutcome::Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", size in 0u64..200) {
            let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(&range).unwrap())]);
            let version = FileVersion { tag: "t", modified: None, size };
            if let RangeOutcome::Part(span) = evaluate_conditions(&Method::GET, &headers, version, true) {
                prop_assert!(span.start < span.end && span.end <= size);
            }
            prop_assert_eq!(evaluate_conditions(&Method::HEAD, &headers, version, true), RangeOutcome::Whole);
            prop_assert_eq!(evaluate_conditions(&Method::GET, &headers, version, false), RangeOutcome::Whole);
        }

        #[test]
        fn nothing_panics(value in "[ -~]{0,40}") {
            for name in [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
                let _ = outcome_for(&[(header::RANGE, "bytes=1-2"), (name, &value)]);
            }
        }
    }
}
