//! What one poll of one server means: its health, load and statistics, and the fate of the
//! meetings that the balancer believes to be on it.

use std::collections::HashMap;

use crate::health::{Change, Failure, Thresholds};
use crate::load::{LoadPolicy, load};
use crate::meeting::{Meeting, MeetingKey, Seats};
use crate::server::{AdminState, Server, Stats};
use crate::time::Timestamp;

/// A meeting as its server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMeeting {
    /// Its external id.
    pub id: String,
    /// Its `createTime`.
    pub created_at: Timestamp,
    /// Users in it; moderators are among them.
    pub users: u32,
    /// Cameras in it.
    pub videos: u32,
    /// Whether it is a breakout room: those weigh nothing of their own.
    pub is_breakout: bool,
}

/// What a poll of a server found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When the question was sent: what was placed later cannot be in the answer.
    pub started_at: Timestamp,
    /// When the answer was there.
    pub finished_at: Timestamp,
    /// The server's meetings, or why there was no usable answer.
    pub result: Result<Vec<SeenMeeting>, String>,
}

/// How a poll is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollPolicy {
    /// When a server changes between online and offline.
    pub thresholds: Thresholds,
    /// How meetings weigh.
    pub load: LoadPolicy,
}

/// What happens to a meeting that the balancer knew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its server reported it: whatever became of its create, it is there, and a claim on it
    /// ends. This is what it takes up now.
    Seen(Seats),
    /// Its server no longer has it, or is offline.
    Forget,
}

/// The outcome of a poll, beyond the new state of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the server went online or offline.
    pub change: Option<Change>,
    /// Whether a cordoned server ran empty and was disabled.
    pub drained: bool,
    /// Meetings that change. All others stay as they are.
    pub fates: Vec<(MeetingKey, Fate)>,
}

/// Applies an observation to a server, given the meetings that are believed to be on it.
#[must_use]
pub fn apply(
    server: &mut Server,
    known: &[Meeting],
    observation: &Observation,
    policy: &PollPolicy,
) -> Verdict {
    match &observation.result {
        Ok(seen) => answered(server, known, seen, observation, policy),
        Err(reason) => failed(server, known, observation, policy, reason),
    }
}

fn failed(
    server: &mut Server,
    known: &[Meeting],
    observation: &Observation,
    policy: &PollPolicy,
    reason: &str,
) -> Verdict {
    let failure = Failure { at: observation.finished_at, reason: reason.to_owned() };
    let change = server.health.fail(failure, policy.thresholds);
    let mut verdict = Verdict { change, ..Verdict::default() };
    if !server.online() {
        server.load = None;
        server.stats = Stats::default();
        // Also what was put back after it went offline; a create under way may still succeed.
        let lost = known.iter().filter(|one| !one.is_being_created(observation.started_at));
        verdict.fates = lost.map(|meeting| (meeting.key.clone(), Fate::Forget)).collect();
    }
    verdict
}

fn answered(
    server: &mut Server,
    known: &[Meeting],
    seen: &[SeenMeeting],
    observation: &Observation,
    policy: &PollPolicy,
) -> Verdict {
    let now = observation.finished_at;
    let change = server.health.succeed(policy.thresholds);
    let mut verdict = Verdict { change, ..Verdict::default() };
    server.stats = count(seen);

    let seats_of = |one: &SeenMeeting| policy.load.seats(one.created_at, one.users);
    let weighed = seen.iter().filter(|one| !one.is_breakout);
    let mut taken: u64 = weighed.map(|one| u64::from(seats_of(one).taken(now))).sum();
    let mut kept = 0_usize;
    let by_id: HashMap<&str, &SeenMeeting> =
        seen.iter().map(|one| (one.id.as_str(), one)).collect();
    for meeting in known {
        match by_id.get(meeting.key.id.as_str()) {
            Some(one) => verdict.fates.push((meeting.key.clone(), Fate::Seen(seats_of(one)))),
            None if may_forget(meeting, observation) => {
                verdict.fates.push((meeting.key.clone(), Fate::Forget));
            }
            None => {
                kept += 1;
                taken += u64::from(meeting.seats.taken(now));
            }
        }
    }
    if server.state == AdminState::Cordoned && seen.is_empty() && kept == 0 {
        server.state = AdminState::Disabled;
        verdict.drained = true;
    }
    let loaded = server.online() && server.state != AdminState::Disabled;
    server.load = loaded.then(|| load(taken, server.load_multiplier));
    verdict
}

/// A meeting that its server did not report is gone, unless it was placed after the question was
/// asked or its create is still under way.
fn may_forget(meeting: &Meeting, observation: &Observation) -> bool {
    !meeting.is_being_created(observation.started_at) && meeting.seen_at < observation.started_at
}

fn count(seen: &[SeenMeeting]) -> Stats {
    Stats {
        meetings: u32::try_from(seen.len()).unwrap_or(u32::MAX),
        users: seen.iter().fold(0, |sum, one| sum.saturating_add(one.users)),
        largest_meeting: seen.iter().map(|one| one.users).max().unwrap_or(0),
        videos: seen.iter().fold(0, |sum, one| sum.saturating_add(one.videos)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::meeting::Claim;
    use crate::server::ServerId;

    const POLICY: PollPolicy = PollPolicy {
        thresholds: Thresholds { healthy: 1, unhealthy: 2 },
        load: LoadPolicy { min_user_count: 15, join_buffer_ms: 900_000 },
    };
    const NOW: Timestamp = Timestamp(10_000_000);

    fn server() -> Server {
        let mut server = Server::new(ServerId("a".to_owned()), String::new(), String::new());
        server.state = AdminState::Enabled;
        server.load_multiplier = 2.0;
        server
    }

    fn meeting(id: &str, claim: bool, placed_at: Timestamp) -> Meeting {
        Meeting {
            key: MeetingKey { tenant: None, id: id.to_owned() },
            server: ServerId("a".to_owned()),
            moderator_pw: None,
            voice_bridge: None,
            claim: claim.then(|| Claim { token: "t".to_owned(), until: placed_at.plus_ms(20_000) }),
            placed_at,
            seen_at: placed_at,
            seats: POLICY.load.seats(placed_at, 0),
        }
    }

    fn seen(id: &str, age_ms: i64, users: u32) -> SeenMeeting {
        let created_at = NOW.plus_ms(-age_ms);
        SeenMeeting { id: id.to_owned(), created_at, users, videos: 1, is_breakout: false }
    }

    fn observation(result: Result<Vec<SeenMeeting>, String>) -> Observation {
        Observation { started_at: NOW.plus_ms(-50), finished_at: NOW, result }
    }

    #[test]
    fn load_and_statistics() {
        let mut server = server();
        let mut breakout = seen("b", 1000, 4);
        breakout.is_breakout = true;
        let list = vec![seen("old", 3_600_000, 20), seen("young", 60_000, 2), breakout];
        let verdict = apply(&mut server, &[], &observation(Ok(list)), &POLICY);
        assert_eq!(verdict.change, Some(Change::WentOnline));
        assert_eq!(server.load, Some(70.0));
        let stats = Stats { meetings: 3, users: 26, largest_meeting: 20, videos: 3 };
        assert_eq!(server.stats, stats);
    }

    #[test]
    fn meetings_are_seen_kept_or_forgotten() {
        let mut server = server();
        let known = [
            meeting("there", false, NOW.plus_ms(-5000)),
            meeting("gone", false, NOW.plus_ms(-5000)),
            meeting("placed-meanwhile", false, NOW.plus_ms(-10)),
            meeting("being-created", true, NOW.plus_ms(-5000)),
            meeting("never-answered", true, NOW.plus_ms(-30_000)),
        ];
        let list = vec![seen("there", 4900, 3)];
        let verdict = apply(&mut server, &known, &observation(Ok(list)), &POLICY);
        let fates: Vec<_> =
            verdict.fates.iter().map(|(key, fate)| (key.id.as_str(), fate)).collect();
        let seats = POLICY.load.seats(NOW.plus_ms(-4900), 3);
        assert_eq!(
            fates,
            [
                ("there", &Fate::Seen(seats)),
                ("gone", &Fate::Forget),
                ("never-answered", &Fate::Forget)
            ]
        );
        assert_eq!(server.load, Some(90.0), "three meetings of 15 seats, twice as heavy");
    }

    #[test]
    fn one_failure_changes_nothing_and_two_take_it_offline() {
        let mut server = server();
        let known = [meeting("m", false, NOW.plus_ms(-5000))];
        let _ = apply(&mut server, &known, &observation(Ok(vec![seen("m", 5000, 3)])), &POLICY);
        let down = observation(Err("timeout".to_owned()));
        assert_eq!(apply(&mut server, &known, &down, &POLICY), Verdict::default());
        assert_eq!((server.load, server.stats.users), (Some(30.0), 3));
        let verdict = apply(&mut server, &known, &down, &POLICY);
        assert_eq!(verdict.change, Some(Change::WentOffline));
        assert_eq!(verdict.fates, [(known[0].key.clone(), Fate::Forget)]);
        assert_eq!((server.load, server.stats), (None, Stats::default()));
    }

    #[test]
    fn cordoned_servers_are_disabled_when_they_have_no_meeting_at_all() {
        let mut server = server();
        server.state = AdminState::Cordoned;
        let empty_room = observation(Ok(vec![seen("m", 3_600_000, 0)]));
        assert!(!apply(&mut server, &[], &empty_room, &POLICY).drained);
        assert_eq!((server.state, server.load), (AdminState::Cordoned, Some(0.0)));
        assert!(apply(&mut server, &[], &observation(Ok(vec![])), &POLICY).drained);
        assert_eq!((server.state, server.load), (AdminState::Disabled, None));
    }

    proptest! {
        #[test]
        fn load_is_never_negative_and_absent_exactly_while_unusable(
            polls in proptest::collection::vec(proptest::option::of(proptest::collection::vec(0u32..300, 0..5)), 1..20),
            state in 0..3usize,
        ) {
            let mut server = server();
            server.set_state([AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled][state]);
            for poll in polls {
                let result = poll
                    .map(|users| users.into_iter().enumerate().map(|(n, users)| seen(&n.to_string(), i64::from(users) * 9000, users)).collect())
                    .ok_or_else(|| "down".to_owned());
                let _ = apply(&mut server, &[], &observation(result), &POLICY);
                let usable = server.online() && server.state != AdminState::Disabled;
                prop_assert_eq!(server.load.is_some(), usable);
                prop_assert!(server.load.is_none_or(|load| load >= 0.0));
            }
        }
    }
}
