//! What a `getRecordings` asks for.

use bbb::Query;
use domain::recording::catalog::{MetadataMatch, RecordingFilter, RecordingStates};

use super::{parse_list, parse_metadata};
use crate::api::ApiError;

/// Pages are no longer than this, as in BBB.
const MAX_PAGE_LIMIT: i64 = 100;
/// More values of metadata cannot be asked for in one call.
const MAX_METADATA_VALUES: usize = 200;

/// A part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRequest {
    pub(super) offset: u64,
    pub(super) limit: u32,
}

impl PageRequest {
    /// As BBB reads it: without a limit that is a number there are no pages, and the offset does not count.
    pub(super) fn from_query(query: &Query) -> Option<Self> {
        let number = |name| query.get(name).and_then(|text| text.trim().parse::<i64>().ok());
        let limit = number("limit")?.clamp(1, MAX_PAGE_LIMIT);
        let offset = u64::try_from(number("offset").unwrap_or(0)).unwrap_or(0);
        Some(Self { offset, limit: u32::try_from(limit).unwrap_or(1) })
    }
}

/// The filter of a call. An id or a state that is there and empty counts as none given.
pub(super) fn parse_filter(query: &Query) -> Result<RecordingFilter, ApiError> {
    let states = parse_list(query, "state")?;
    let states = match states.as_slice() {
        [] => RecordingStates::Usual,
        named if named.iter().any(|state| state == "any") => RecordingStates::Any,
        _ => RecordingStates::Listed(states),
    };
    let mut count = 0;
    let wanted = parse_metadata(query).into_iter().map(|(key, values)| {
        let values: Vec<MetadataMatch> =
            values.split(',').map(|one| MetadataMatch::parse(one.trim())).collect();
        count += values.len();
        (key, values)
    });
    let metadata = wanted.collect();
    if count > MAX_METADATA_VALUES {
        return Err(ApiError::TooLarge);
    }
    let (record_ids, meeting_ids) =
        (parse_list(query, "recordID")?, parse_list(query, "meetingID")?);
    Ok(RecordingFilter { record_ids, meeting_ids, states, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_clamped_as_in_bbb() {
        let page = |query: &str| {
            PageRequest::from_query(&Query::parse(query)).map(|page| (page.offset, page.limit))
        };
        assert_eq!(page("limit=25&offset=50"), Some((50, 25)));
        assert_eq!((page("limit=0"), page("limit=-3")), (Some((0, 1)), Some((0, 1))));
        assert_eq!(page("limit=101&offset=-1"), Some((0, 100)));
        assert_eq!(page("limit=5&offset=x"), Some((0, 5)));
        assert_eq!((page(""), page("offset=5"), page("limit=x&offset=5")), (None, None, None));
    }

    #[test]
    fn filters_are_read() {
        let filter = |query: &str| parse_filter(&Query::parse(query)).unwrap();
        let empty = filter("meetingID=&recordID=%2C%20&state=");
        assert_eq!(empty, RecordingFilter::default());
        let full = filter("meetingID=a,b,a&state=published,any&meta_GL-Listed=true,%25x&meta_=y");
        assert_eq!(
            (full.meeting_ids, full.states),
            (vec!["a".into(), "b".into()], RecordingStates::Any)
        );
        let wanted = vec![MetadataMatch::Exact("true".into()), MetadataMatch::Suffix("x".into())];
        assert_eq!(full.metadata, [("gl-listed".to_owned(), wanted)]);
    }
}
