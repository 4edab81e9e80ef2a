//! What comes next in a random sequence.

use app::ports::{PlaceOutcome, PlaceRequest, ServerChange};
use domain::health::ServerFailure;
use domain::placement::{PlacementCriteria, PlacementPolicy, PlacementRules, TagRequest};
use domain::poll::{PendingEnd, PollObservation, ReportedMeeting, UnreadableMeetings};
use domain::{AdminState, Claim, Meeting, MeetingKey, MeetingLoad, Server, Timestamp};

use super::super::pool_store::{NOW, key, open_server, server_id};
use super::rng::TestRng;
use super::{PoolCall, PoolResponse};

/// The last one is never added at first.
pub(super) const SERVERS: [&str; 4] = ["a", "b", "c", "A"];
const TOKENS: [&str; 3] = ["t", "T", "u"];
const BRIDGES: [&str; 5] = ["11111", "22222", "33333", "011111", "44444"];
const TAGS: [&str; 6] = ["", "", "", "red", "red!", "none;red!"];
/// Binary fractions, so that sums do not depend on their order.
const MULTIPLIERS: [f64; 4] = [1.0, 1.0, 2.5, 0.5];
const STATES: [AdminState; 6] = [
    AdminState::Enabled,
    AdminState::Enabled,
    AdminState::Enabled,
    AdminState::Enabled,
    AdminState::Cordoned,
    AdminState::Disabled,
];

pub(super) fn keys() -> [MeetingKey; 6] {
    let of_tenant = |tenant: &str, id| MeetingKey { tenant: Some(tenant.to_owned()), ..key(id) };
    [key("m"), key("M"), key("n"), key("o "), of_tenant("t", "m"), of_tenant("T", "m")]
}

/// What the sequence so far means for its next call.
pub(super) struct CallSequence {
    pub(super) now: Timestamp,
    added_servers: usize,
    /// Meetings as some call returned them: the store may have other ideas by now.
    known_meetings: Vec<Meeting>,
    /// Meetings that were forgotten, and may move in again.
    forgotten_meetings: Vec<Meeting>,
}

impl Default for CallSequence {
    fn default() -> Self {
        Self {
            now: NOW,
            added_servers: 0,
            known_meetings: Vec::new(),
            forgotten_meetings: Vec::new(),
        }
    }
}

impl CallSequence {
    pub(super) fn record_response(&mut self, answer: PoolResponse) {
        match answer {
            PoolResponse::Placed(
                PlaceOutcome::Claimed(located) | PlaceOutcome::Existing(located),
            ) => {
                self.known_meetings.push(located.meeting);
            }
            PoolResponse::Removed(_, Some(gone)) => self.forgotten_meetings.extend(gone),
            PoolResponse::Polled(Some(report)) => self.forgotten_meetings.extend(report.forgotten),
            _ => {}
        }
    }

    pub(super) fn next_call(&mut self, dice: &mut TestRng) -> PoolCall {
        let passed = match dice.number_below(10) {
            0..3 => 0,
            3..9 => dice.ms_below(400),
            _ => dice.ms_below(3000),
        };
        self.now = self.now.plus_ms(passed);
        let now = self.now;
        if self.added_servers < 3 {
            let id = SERVERS[self.added_servers];
            self.added_servers += 1;
            return PoolCall::Add(Box::new(any_server(dice, id, now)));
        }
        let last = self.known_meetings.last().filter(|_| !dice.is_one_in(3));
        let key = last.map_or_else(|| dice.pick(&keys()), |last| last.key.clone());
        self.any_call(dice, &key)
    }

    fn any_call(&mut self, dice: &mut TestRng, key: &MeetingKey) -> PoolCall {
        let now = self.now;
        match dice.number_below(100) {
            0..3 => {
                let id = dice.pick(&SERVERS);
                PoolCall::Add(Box::new(any_server(dice, id, now)))
            }
            3..9 => PoolCall::Update(dice.pick(&SERVERS), any_change(dice)),
            9..11 => PoolCall::Remove(dice.pick(&SERVERS)),
            11..12 => PoolCall::RecordVersion(
                dice.pick(&SERVERS),
                format!("3.0.{}", dice.number_below(9)),
            ),
            12..16 => PoolCall::ReportFailure(
                dice.pick(&SERVERS),
                ServerFailure { at: now, reason: "«»".to_owned() },
            ),
            16..38 => self.any_poll(dice),
            38..64 => PoolCall::Place(any_request(dice, now)),
            64..74 if !self.known_meetings.is_empty() => {
                let endings = any_pending_ends(dice, now);
                PoolCall::Confirm(Box::new(dice.pick(&self.known_meetings)), now, endings)
            }
            74..80 => {
                let claim = self.known_meetings.last().and_then(|last| last.claim.as_ref());
                let token = claim.map(|claim| claim.token.clone());
                let token = token.unwrap_or_else(|| dice.pick(&TOKENS).to_owned());
                PoolCall::Release(key.clone(), token, any_pending_ends(dice, now))
            }
            80..84 => {
                let server = self.known_meetings.last().map(|last| last.server.0.clone());
                let server = server.unwrap_or_else(|| dice.pick(&SERVERS).to_owned());
                PoolCall::Forget(key.clone(), server, any_pending_ends(dice, now).pop())
            }
            84..86 => PoolCall::ForgetAll(dice.pick(&SERVERS)),
            86..89 if !self.forgotten_meetings.is_empty() => {
                let mut meeting = dice.pick(&self.forgotten_meetings);
                meeting.detached = dice.is_one_in(2);
                PoolCall::Restore(Box::new(meeting))
            }
            86..97 => PoolCall::Join(key.clone(), 1 + dice.number_below(9), now),
            97..100 => PoolCall::Sweep(now.plus_ms(-dice.ms_below(1500))),
            _ => PoolCall::Place(any_request(dice, now)),
        }
    }
}

impl CallSequence {
    /// Mostly of a server that has a meeting, which it mostly reports.
    fn any_poll(&self, dice: &mut TestRng) -> PoolCall {
        let mut poll = any_observation(dice, self.now);
        let Some(known) = self.known_meetings.last().filter(|_| !dice.is_one_in(3)) else {
            return PoolCall::Poll(dice.pick(&SERVERS), poll);
        };
        if let (Ok(list), false) = (&mut poll.result, dice.is_one_in(3)) {
            let MeetingKey { tenant, id } = known.key.clone();
            let created_at = known.placed_at;
            list.push(ReportedMeeting {
                id,
                tenant,
                created_at,
                users: 3,
                ..ReportedMeeting::default()
            });
        }
        let server = SERVERS.into_iter().find(|id| *id == known.server.0);
        PoolCall::Poll(server.unwrap_or("a"), poll)
    }
}

fn any_server(dice: &mut TestRng, id: &str, now: Timestamp) -> Server {
    let mut server = open_server(id, f64::from(dice.number_below(80)) / 4.0);
    server.load_multiplier = dice.pick(&MULTIPLIERS);
    server.tag = dice.is_one_in(5).then(|| "red".to_owned());
    server.health.online = !dice.is_one_in(6);
    server.health.last_failure =
        dice.is_one_in(3).then(|| ServerFailure { at: now, reason: "'früher'".to_owned() });
    server.load = server.load.filter(|_| server.health.online);
    server.set_state(dice.pick(&STATES));
    server.limits.max_meetings = dice.is_one_in(6).then(|| dice.number_below(4));
    server.limits.max_users = dice.is_one_in(6).then(|| dice.number_below(90));
    server.limits.tier = dice.pick(&[0, 0, 0, 1]);
    server
}

fn any_change(dice: &mut TestRng) -> ServerChange {
    let number = dice.number_below(100);
    ServerChange {
        url: dice.is_one_in(4).then(|| format!("https://u{number}.example.test/api")),
        secret: dice.is_one_in(4).then(|| format!("secret '{number}'")),
        tag: dice.is_one_in(4).then(|| dice.is_one_in(2).then(|| "red".to_owned())),
        state: dice.is_one_in(2).then(|| dice.pick(&STATES)),
        load_multiplier: dice.is_one_in(3).then(|| dice.pick(&MULTIPLIERS)),
        max_meetings: dice.is_one_in(5).then(|| dice.is_one_in(3).then(|| dice.number_below(4))),
        max_users: dice.is_one_in(5).then(|| dice.is_one_in(3).then(|| dice.number_below(90))),
        tier: dice.is_one_in(5).then(|| dice.number_below(2)),
    }
}

fn any_request(dice: &mut TestRng, now: Timestamp) -> PlaceRequest {
    let reserved = dice.pick(&[15, 15, 4, 0]);
    let count = dice.number_below(4);
    PlaceRequest {
        key: dice.pick(&keys()),
        criteria: PlacementCriteria {
            tags: TagRequest::parse(dice.pick(&TAGS)),
            expected_users: reserved,
            seed: u64::from(dice.number_below(1000)),
            now,
            tried_servers: SERVERS
                .iter()
                .filter(|_| dice.is_one_in(5))
                .map(|id| server_id(id))
                .collect(),
            same_id_servers: Vec::new(),
            rules: PlacementRules {
                policy: dice.pick(&[
                    PlacementPolicy::Forecast,
                    PlacementPolicy::Reserve,
                    PlacementPolicy::Scalelite,
                ]),
                untagged_may_use_tagged: dice.is_one_in(4),
                max_tier_load: 20.0,
            },
            ..PlacementCriteria::default()
        },
        voice_bridges: (0..=count).map(|_| dice.pick(&BRIDGES).to_owned()).collect(),
        moderator_pw: dice.is_one_in(2).then(|| "'pw'".to_owned()),
        claim: Claim {
            token: dice.pick(&TOKENS).to_owned(),
            until: now.plus_ms(dice.ms_below(800)),
        },
        load: MeetingLoad {
            expected_users: reserved,
            expected_until: now.plus_ms(dice.ms_below(3000)),
            users: dice.pick(&[0, 0, 0, 20]),
        },
        now,
        pending_ends: any_pending_ends(dice, now),
    }
}

fn any_pending_ends(dice: &mut TestRng, now: Timestamp) -> Vec<PendingEnd> {
    let count = if dice.is_one_in(3) { 1 + dice.number_below(2) } else { 0 };
    let one = |_| PendingEnd {
        server: server_id(dice.pick(&SERVERS)),
        key: dice.pick(&keys()),
        moderator_pw: dice.is_one_in(2).then(|| "'pw'".to_owned()),
        since: now.plus_ms(-dice.ms_below(150_000)),
        create_sent_at: if dice.is_one_in(2) {
            now.plus_ms(-dice.ms_below(20_000))
        } else {
            Timestamp(0)
        },
    };
    (0..count).map(one).collect()
}

fn any_observation(dice: &mut TestRng, now: Timestamp) -> PollObservation {
    let seen = (0..dice.number_below(6)).map(|n| ReportedMeeting {
        id: match dice.pick(&[Some("m"), Some("M"), Some("n"), Some("o "), None]) {
            Some(id) => id.to_owned(),
            None => format!("unknown {n}"),
        },
        tenant: dice.pick(&[None, None, Some("t"), Some("T")]).map(str::to_owned),
        created_at: now.plus_ms(-dice.ms_below(1_200_000)),
        users: dice.number_below(40),
        has_unknown_users: dice.is_one_in(8),
        videos: dice.number_below(3),
        is_breakout: dice.is_one_in(8),
        voice_bridge: dice.is_one_in(2).then(|| dice.pick(&BRIDGES).to_owned()),
        moderator_pw: dice.is_one_in(2).then(|| "'theirs'".to_owned()),
        is_ours: dice.is_one_in(2),
    });
    let seen = seen.collect();
    let unreadable = if dice.is_one_in(4) { Some(dice.pick(&["m", "n", "o "])) } else { None };
    PollObservation {
        started_at: now.plus_ms(-dice.ms_below(500)),
        finished_at: now,
        result: if dice.is_one_in(3) { Err("«timeout»".to_owned()) } else { Ok(seen) },
        unreadable: UnreadableMeetings {
            ids: unreadable.map(str::to_owned).into_iter().collect(),
            has_unknown: dice.is_one_in(8),
        },
    }
}
