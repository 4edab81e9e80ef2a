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

    #[test]
    fn only_a_proven_copy_is_to_be_ended() {
        use crate::origin::{MeetingIdentity, MeetingOrigin};
        let identity = MeetingIdentity::from_parts(Some("i".to_owned()), Timestamp(5));
        let copy = |effect, origin| {
            let confirmed = Meeting { origin, ..meeting("a", Some("mine")) };
            pending_end_of_copy(effect, &confirmed, Timestamp(9))
        };
        let proven = MeetingOrigin::proven(identity.clone());
        let end = copy(ConfirmationEffect::KeepRecord, proven.clone()).unwrap();
        assert_eq!((end.server.0.as_str(), end.internal_id.as_deref()), ("a", Some("i")));
        assert_eq!(end.since, Timestamp(9));
        for (effect, origin) in [
            (ConfirmationEffect::EndClaim, proven.clone()),
            (ConfirmationEffect::MoveRecord, proven.clone()),
            (ConfirmationEffect::CreateRecord, proven),
            (ConfirmationEffect::KeepRecord, MeetingOrigin::proven(None)),
            (ConfirmationEffect::KeepRecord, MeetingOrigin::adopted(identity)),
        ] {
            assert_eq!(copy(effect, origin.clone()), None, "{effect:?} {origin:?}");
        }
    }

    #[test]
    fn disabled_and_removed_servers_get_no_records() {
        let mut server = Server::new(ServerId("a".to_owned()), String::new(), String::new());
        for (state, may) in [
            (AdminState::Enabled, true),
            (AdminState::Cordoned, true),
            (AdminState::Disabled, false),
        ] {
            server.state = state;
            assert_eq!(may_be_recorded_on(Some(&server)), may, "{state:?}");
        }
        assert!(!may_be_recorded_on(None));
    }
}
