//! Which meetings of dead servers may be made anew. A revival that is not wanted makes a second room, so
//! none is made where anything speaks against it.

use crate::meeting::Meeting;
use crate::server::Server;
use crate::time::Timestamp;

/// Returns whether a meeting that users want to join may be made anew on another server: its server is
/// offline, and reported the meeting when it last answered a poll, not longer than `window_ms` ago. Only
/// what this deployment has made is made anew.
#[must_use]
pub fn may_be_revived(meeting: &Meeting, server: &Server, now: Timestamp, window_ms: i64) -> bool {
    let origin = &meeting.origin;
    let is_ours = origin.is_proven && !origin.is_adopted && origin.identity.is_some();
    let was_alive = meeting.claim.is_none() && meeting.missed_polls == 0;
    let is_recent = window_ms > 0 && now < meeting.seen_at.plus_ms(window_ms);
    !server.is_online() && is_ours && was_alive && is_recent
}

/// Returns whether a meeting that began at this time is over by its duration: that of its create, in
/// minutes, as far as it is valid, or the greatest one that the administrator allows.
#[must_use]
pub fn is_over(
    began_at: Timestamp,
    duration: Option<&str>,
    max_duration_min: Option<u32>,
    now: Timestamp,
) -> bool {
    let asked = duration.and_then(|minutes| minutes.trim().parse::<u32>().ok());
    let asked = asked.filter(|minutes| *minutes > 0);
    let minutes = asked.into_iter().chain(max_duration_min).min();
    minutes.is_some_and(|minutes| now >= began_at.plus_ms(i64::from(minutes) * 60_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meeting::Claim;
    use crate::origin::{MeetingIdentity, MeetingOrigin};
    use crate::server::ServerId;

    const NOW: Timestamp = Timestamp(10_000_000);
    const WINDOW_MS: i64 = 3_600_000;

    fn meeting() -> Meeting {
        let identity = MeetingIdentity::from_parts(Some("i".to_owned()), Timestamp(9_000_000));
        let origin = MeetingOrigin::proven(identity);
        Meeting { origin, seen_at: NOW.plus_ms(-60_000), ..Meeting::default() }
    }

    fn server(online: bool) -> Server {
        let mut server =
            Server::new(ServerId("a".to_owned()), "http://a".to_owned(), String::new());
        server.health.online = online;
        server
    }

    #[test]
    fn meetings_of_offline_servers_may_be_revived() {
        assert!(may_be_revived(&meeting(), &server(false), NOW, WINDOW_MS));
        assert!(!may_be_revived(&meeting(), &server(true), NOW, WINDOW_MS), "its server is online");
        assert!(!may_be_revived(&meeting(), &server(false), NOW, 0), "revivals are off");
    }

    #[test]
    fn meetings_that_may_be_over_are_not_revived() {
        let claim = Some(Claim { token: "t".to_owned(), until: NOW });
        let adopted = MeetingOrigin::adopted(meeting().origin.identity);
        let unproven = MeetingOrigin { is_proven: false, ..meeting().origin };
        for other in [
            Meeting { claim, ..meeting() },
            Meeting { missed_polls: 1, ..meeting() },
            Meeting { origin: adopted, ..meeting() },
            Meeting { origin: unproven, ..meeting() },
            Meeting { origin: MeetingOrigin::proven(None), ..meeting() },
            Meeting { seen_at: NOW.plus_ms(-WINDOW_MS), ..meeting() },
        ] {
            assert!(!may_be_revived(&other, &server(false), NOW, WINDOW_MS), "{other:?}");
        }
        let seen_at = NOW.plus_ms(1 - WINDOW_MS);
        assert!(may_be_revived(&Meeting { seen_at, ..meeting() }, &server(false), NOW, WINDOW_MS));
    }

    #[test]
    fn a_meeting_ends_by_its_duration_or_the_greatest_one() {
        let began_at = NOW.plus_ms(-30 * 60_000);
        for (duration, max, expected) in [
            (None, None, false),
            (Some("0"), None, false),
            (Some("30"), None, true),
            (Some(" 31 "), None, false),
            (Some("x"), Some(30), true),
            (Some("0"), Some(31), false),
            (Some("600"), Some(30), true),
            (Some("4294967295"), None, false),
        ] {
            assert_eq!(is_over(began_at, duration, max, NOW), expected, "{duration:?} {max:?}");
        }
    }
}
