//! Conditional and range requests for a file, by RFC 9110, sections 13 and 14. A request for
//! several ranges, which players do not send, gets the whole file.

use std::time::SystemTime;

use app::ports::ByteSpan;
use headers::{ETag, HeaderMapExt as _, IfModifiedSince, IfNoneMatch, IfRange};
use http::{HeaderMap, Method, header};
use http_range_header::{RangeUnsatisfiableError, parse_range_header};

/// What a request gets of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RangeOutcome {
    /// 200: the whole file.
    Whole,
    /// 206: a part.
    Part(ByteSpan),
    /// 304: the client already has this version.
    NotModified,
    /// 416: the range lies beyond the end of the file.
    NotSatisfiable,
}

/// The version of a file that would be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileVersion<'a> {
    /// Entity tag, without quotes.
    pub(super) tag: &'a str,
    /// Time of the last modification, if it is known.
    pub(super) modified: Option<SystemTime>,
    /// Size in bytes.
    pub(super) size: u64,
}

impl FileVersion<'_> {
    fn etag(&self) -> Option<ETag> {
        format!("\"{}\"", self.tag).parse().ok()
    }
}

/// Evaluates the headers of a request. Without `has_ranges`, as for a file that is compressed while
/// it is sent, the request gets the whole file.
pub(super) fn evaluate_conditions(
    method: &Method,
    headers: &HeaderMap,
    version: FileVersion<'_>,
    has_ranges: bool,
) -> RangeOutcome {
    if is_not_modified(headers, version) {
        return RangeOutcome::NotModified;
    }
    // Ranges are defined for GET only.
    if !has_ranges || method != Method::GET || !matches_if_range(headers, version) {
        return RangeOutcome::Whole;
    }
    evaluate_range(headers, version.size)
}

fn is_not_modified(headers: &HeaderMap, version: FileVersion<'_>) -> bool {
    // `If-Modified-Since` is ignored if there is an `If-None-Match`.
    if let Some(condition) = headers.typed_get::<IfNoneMatch>() {
        return version.etag().is_some_and(|etag| !condition.precondition_passes(&etag));
    }
    let condition = headers.typed_get::<IfModifiedSince>();
    condition
        .zip(version.modified)
        .is_some_and(|(condition, modified)| !condition.is_modified(modified))
}

/// Returns whether the part that the client already has is of this version, or it has none.
fn matches_if_range(headers: &HeaderMap, version: FileVersion<'_>) -> bool {
    match headers.typed_try_get::<IfRange>() {
        Ok(None) => true,
        // Dates must be equal, while `IfRange::is_modified` also accepts a later one.
        Ok(Some(condition)) => {
            !condition.is_modified(version.etag().as_ref(), None)
                || version.modified.is_some_and(|modified| condition == IfRange::date(modified))
        }
        Err(_) => false,
    }
}

/// Evaluates `Range`, which is ignored if it is missing, invalid or has several ranges.
fn evaluate_range(headers: &HeaderMap, size: u64) -> RangeOutcome {
    let header = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // The crate does not accept a space before the equals sign.
    let header = header.unwrap_or_default().trim().replacen(" =", "=", 1);
    let ranges = parse_range_header(&header).ok().filter(|ranges| ranges.len() == 1);
    match ranges.map(|ranges| ranges.validate(size)) {
        Some(Ok(spans)) => spans.first().map_or(RangeOutcome::Whole, |span| {
            RangeOutcome::Part(ByteSpan { start: *span.start(), end: span.end().saturating_add(1) })
        }),
        Some(Err(RangeUnsatisfiableError::Unsatisfiable)) => RangeOutcome::NotSatisfiable,
        Some(Err(_)) | None => RangeOutcome::Whole,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    fn partial(start: u64, end: u64) -> RangeOutcome {
        RangeOutcome::Part(ByteSpan { start, end })
    }

    #[test]
    fn ranges_are_resolved() {
        for (range, expected) in [
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
            assert_eq!(outcome_for(&[(header::RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn a_range_needs_a_matching_if_range() {
        for (if_range, matches) in [
            ("\"t\"", true),
            ("\"u\"", false),
            ("W/\"t\"", false),
            (DATE, true),
            ("Thu, 01 Jan 1970 00:01:41 GMT", false),
            ("soon", false),
        ] {
            let outcome =
                outcome_for(&[(header::RANGE, "bytes=0-3"), (header::IF_RANGE, if_range)]);
            let expected = if matches { partial(0, 4) } else { RangeOutcome::Whole };
            assert_eq!(outcome, expected, "{if_range}");
        }
    }

    #[test]
    fn an_unchanged_file_is_not_sent() {
        for (name, value, unchanged) in [
            (header::IF_NONE_MATCH, "\"t\"", true),
            (header::IF_NONE_MATCH, "\"a\", W/\"t\"", true),
            (header::IF_NONE_MATCH, "*", true),
            (header::IF_NONE_MATCH, "\"tt\"", false),
            (header::IF_NONE_MATCH, "t", false),
            (header::IF_NONE_MATCH, "\"a b\"", false),
            (header::IF_MODIFIED_SINCE, DATE, true),
            (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:01:39 GMT", false),
            (header::IF_MODIFIED_SINCE, "never", false),
        ] {
            let outcome = outcome_for(&[(name.clone(), value)]);
            assert_eq!(outcome == RangeOutcome::NotModified, unchanged, "{name}: {value}");
        }
        // The tag takes precedence over the date.
        let both = [(header::IF_NONE_MATCH, "\"u\""), (header::IF_MODIFIED_SINCE, DATE)];
        assert_eq!(outcome_for(&both), RangeOutcome::Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(range in "bytes=[0-9]{0,3}-[0-9]{0,3}", size in 0u64..200) {
            let value = HeaderValue::from_str(&range).unwrap();
            let headers = HeaderMap::from_iter([(header::RANGE, value)]);
            let version = FileVersion { tag: "t", modified: None, size };
            let evaluate = |method: &Method, has_ranges: bool| {
                evaluate_conditions(method, &headers, version, has_ranges)
            };
            if let RangeOutcome::Part(span) = evaluate(&Method::GET, true) {
                prop_assert!(span.start < span.end && span.end <= size);
            }
            prop_assert_eq!(evaluate(&Method::HEAD, true), RangeOutcome::Whole);
            prop_assert_eq!(evaluate(&Method::GET, false), RangeOutcome::Whole);
        }
    }
}
