//! What happens to the record of a meeting when a server confirms that it has the meeting. The
//! Redis script `confirm_meeting.lua` follows the same rule.

use crate::meeting::Meeting;
use crate::poll::PendingEnd;
use crate::server::{AdminState, Server, ServerId};
use crate::time::Timestamp;

/// What a confirmation does to the record of the meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmationEffect {
    /// The meeting is recorded on the confirming server: its claim ends, whichever request holds
    /// it.
    EndClaim,
    /// Another request has recorded the meeting on another server: that record stays.
    KeepRecord,
    /// The confirmed request has moved its claim to another server, which was slower: that
    /// placement is undone, and the meeting is recorded on the confirming server.
    MoveRecord,
    /// The meeting is not recorded: it is recorded on the confirming server.
    CreateRecord,
}

impl ConfirmationEffect {
    /// Decides what happens to `record`, which is stored under the key of `confirmed`. `confirmed`
    /// is the meeting as its request placed it on the server that confirms it.
    #[must_use]
    pub fn decide(record: Option<&Meeting>, confirmed: &Meeting) -> Self {
        match record {
            Some(record) if record.server == confirmed.server => Self::EndClaim,
            Some(record) if record.has_same_claim(confirmed) => Self::MoveRecord,
            Some(_) => Self::KeepRecord,
            None => Self::CreateRecord,
        }
    }
}

/// Returns the pending end of the confirmed meeting if another request's record stays, and it is
/// proven that the confirmed request made this copy.
#[must_use]
pub fn pending_end_of_copy(
    effect: ConfirmationEffect,
    confirmed: &Meeting,
    now: Timestamp,
) -> Option<PendingEnd> {
    let is_proven = confirmed.origin.is_proven && confirmed.origin.identity.is_some();
    let is_copy = effect == ConfirmationEffect::KeepRecord && is_proven;
    is_copy.then(|| PendingEnd::of_replaced_record(confirmed, now)).flatten()
}

/// Returns the server on which another request has recorded the meeting. No pending end of the
/// confirmed request is stored for it: the meeting there must not be ended.
#[must_use]
pub fn protected_server<'a>(
    record: Option<&'a Meeting>,
    confirmed: &Meeting,
) -> Option<&'a ServerId> {
    record.filter(|record| !record.has_same_claim(confirmed)).map(|record| &record.server)
}

/// Whether a confirmation may record a meeting on this server: it exists and is not disabled.
#[must_use]
pub fn may_be_recorded_on(server: Option<&Server>) -> bool {
    server.is_some_and(|server| server.state != AdminState::Disabled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::Claim;

    fn meeting(server: &str, token: Option<&str>) -> Meeting {
        let claim = token.map(|token| Claim { token: token.to_owned(), until: Timestamp(1) });
        Meeting { server: ServerId(server.to_owned()), claim, ..Meeting::default() }
    }

    #[test]
    fn the_effect_follows_from_server_and_claim_of_the_record() {
        let confirmed = meeting("a", Some("mine"));
        for (record, effect) in [
            (Some(meeting("a", Some("mine"))), ConfirmationEffect::EndClaim),
            (Some(meeting("a", Some("other"))), ConfirmationEffect::EndClaim),
            (Some(meeting("a", None)), ConfirmationEffect::EndClaim),
            (Some(meeting("b", Some("mine"))), ConfirmationEffect::MoveRecord),
            (Some(meeting("b", Some("other"))), ConfirmationEffect::KeepRecord),
            (Some(meeting("b", None)), ConfirmationEffect::KeepRecord),
            (None, ConfirmationEffect::CreateRecord),
        ] {
            assert_eq!(ConfirmationEffect::decide(record.as_ref(), &confirmed), effect);
        }
    }

    #[test]
    fn a_meeting_of_another_request_is_protected() {
        let confirmed = meeting("a", Some("mine"));
        let other = meeting("b", Some("other"));
        assert_eq!(protected_server(Some(&other), &confirmed), Some(&other.server));
        assert_eq!(protected_server(Some(&meeting("b", Some("mine"))), &confirmed), None);
        assert_eq!(protected_server(None, &confirmed), None);
    }
}
