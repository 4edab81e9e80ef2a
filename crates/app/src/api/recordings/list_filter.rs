//! Parses the filter and the page of a `getRecordings` call.

use bbb::Query;
use domain::recording::catalog::{MetadataMatch, RecordingFilter, RecordingStates};

use super::parameters::{parse_list, parse_metadata};
use crate::api::errors::ApiError;

/// Maximum length of a page, as in BBB.
const MAX_PAGE_LIMIT: i64 = 100;
/// Maximum number of metadata values in one call.
const MAX_METADATA_VALUES: usize = 200;

/// The requested page: how many recordings are skipped, and the maximum number returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageRequest {
    pub(super) offset: u64,
    pub(super) limit: u32,
}

impl PageRequest {
    /// Parses the page as BBB does. Without a numeric `limit` the list is not paged, and `offset`
    /// is ignored.
    pub(super) fn from_query(query: &Query) -> Option<Self> {
        let number = |name| query.get(name).and_then(|text| text.trim().parse::<i64>().ok());
        let limit = number("limit")?.clamp(1, MAX_PAGE_LIMIT);
        let offset = u64::try_from(number("offset").unwrap_or(0)).unwrap_or(0);
        Some(Self { offset, limit: u32::try_from(limit).unwrap_or(1) })
    }
}

/// Parses the filter. An empty `recordID`, `meetingID` or `state` counts as absent.
pub(super) fn parse_filter(query: &Query) -> Result<RecordingFilter, ApiError> {
    let states = parse_list(query, "state")?;
    let states = match states.as_slice() {
        [] => RecordingStates::Usual,
        states if states.iter().any(|state| state == "any") => RecordingStates::Any,
        _ => RecordingStates::Listed(states),
    };
    let mut count = 0;
    let metadata = parse_metadata(query).into_iter().map(|(key, values)| {
        let values: Vec<MetadataMatch> =
            values.split(',').map(|value| MetadataMatch::parse(value.trim())).collect();
        count += values.len();
        (key, values)
    });
    let metadata = metadata.collect();
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
    fn filters_are_parsed() {
        let filter = |query: &str| parse_filter(&Query::parse(query)).unwrap();
        let empty = filter("meetingID=&recordID=%2C%20&state=");
        assert_eq!(empty, RecordingFilter::default());
        let full = filter("meetingID=a,b,a&state=published,any&meta_GL-Listed=true,%25x&meta_=y");
        assert_eq!(
            (full.meeting_ids, full.states),
            (vec!["a".into(), "b".into()], RecordingStates::Any)
        );
        let values = vec![MetadataMatch::Exact("true".into()), MetadataMatch::Suffix("x".into())];
        assert_eq!(full.metadata, [("gl-listed".to_owned(), values)]);
    }
}
