//! Requests that place a meeting anew, and only in place of a certain record.

use domain::ServerId;

use super::pool_store::{MeetingOnServer, PlaceOutcome, PlaceRequest};

/// The record of a meeting that is made anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedRecord {
    /// `internalMeetingID` of the recorded meeting.
    pub internal_id: String,
    /// Its server.
    pub server: ServerId,
}

impl PlaceRequest {
    /// Returns the outcome of a request that replaces a certain record and does not find it: neither
    /// that record nor its own claim.
    #[must_use]
    pub fn refuse_other_record(&self, recorded: Option<&MeetingOnServer>) -> Option<PlaceOutcome> {
        let replaced = self.replaces.as_ref()?;
        let Some(found) = recorded else {
            return Some(PlaceOutcome::NothingToReplace);
        };
        let is_it = match (&found.meeting.claim, &found.meeting.origin.identity) {
            (Some(claim), _) => claim.token == self.claim.token,
            (None, Some(identity)) => identity.internal_id == replaced.internal_id,
            (None, None) => false,
        };
        (!is_it).then(|| PlaceOutcome::Existing(found.clone()))
    }
}
