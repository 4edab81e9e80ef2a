//! Makes up the calls of a random sequence.

use app::ports::{PlaceOutcome, PlaceRequest, ReplacedRecord, ServerChange};
use domain::health::ServerFailure;
use domain::placement::{PlacementCriteria, PlacementPolicy, PlacementRules, TagRequest};
use domain::poll::{
    OwnershipHint, PendingEnd, PollObservation, ReportedMeeting, UnreadableMeetings,
};
use domain::{
    AdminState, Claim, Meeting, MeetingIdentity, MeetingKey, MeetingLoad, MeetingOrigin, Server,
    Timestamp,
};

use super::super::fixtures::{NOW, key, open_server, server_id};
use super::rng::TestRng;
use super::{PoolCall, PoolResponse};

/// Ids of servers. The last one is not among those that are added first.
pub(super) const SERVERS: [&str; 4] = ["a", "b", "c", "A"];
const TOKENS: [&str; 3] = ["t", "T", "u"];
const BRIDGES: [&str; 5] = ["11111", "22222", "33333", "011111", "44444"];
const TAGS: [&str; 6] = ["", "", "", "red", "red!", "none;red!"];
/// Binary fractions, so that sums do not depend on the order of their terms.
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

/// The state of a sequence that its next call depends on.
pub(super) struct CallSequence {
    pub(super) now: Timestamp,
    added_servers: usize,
    /// Meetings as earlier calls returned them. The store may have changed or forgotten them since.
    known_meetings: Vec<Meeting>,
    /// Meetings that were forgotten, and may be restored.
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
    pub(super) fn record_response(&mut self, response: PoolResponse) {
        match response {
            PoolResponse::Placed(PlaceOutcome::Claimed(found) | PlaceOutcome::Existing(found)) => {
                self.known_meetings.push(found.meeting);
            }
            PoolResponse::Removed(_, Some(meetings)) => self.forgotten_meetings.extend(meetings),
            PoolResponse::Polled(Some(report)) => self.forgotten_meetings.extend(report.forgotten),
            _ => {}
        }
    }

    pub(super) fn next_call(&mut self, rng: &mut TestRng) -> PoolCall {
        let passed = match rng.number_below(10) {
            0..3 => 0,
            3..9 => rng.ms_below(400),
            _ => rng.ms_below(3000),
        };
        self.now = self.now.plus_ms(passed);
        let now = self.now;
        if self.added_servers < 3 {
            let id = SERVERS[self.added_servers];
            self.added_servers += 1;
            return PoolCall::Add(Box::new(any_server(rng, id, now)));
        }
        let last = self.known_meetings.last().filter(|_| !rng.is_one_in(3));
        let key = last.map_or_else(|| rng.pick(&keys()), |last| last.key.clone());
        self.any_call(rng, &key)
    }

    fn any_call(&mut self, rng: &mut TestRng, key: &MeetingKey) -> PoolCall {
        let now = self.now;
        match rng.number_below(100) {
            0..3 => {
                let id = rng.pick(&SERVERS);
                PoolCall::Add(Box::new(any_server(rng, id, now)))
            }
            3..9 => PoolCall::Update(rng.pick(&SERVERS), any_change(rng)),
            9..11 => PoolCall::Remove(rng.pick(&SERVERS)),
            11..12 => {
                PoolCall::RecordVersion(rng.pick(&SERVERS), format!("3.0.{}", rng.number_below(9)))
            }
            12..16 => PoolCall::ReportFailure(
                rng.pick(&SERVERS),
                ServerFailure { at: now, reason: "«»".to_owned() },
            ),
            16..38 => self.any_poll(rng),
            38..64 => PoolCall::Place(any_request(rng, now)),
            64..74 if !self.known_meetings.is_empty() => {
                let pending_ends = any_pending_ends(rng, now);
                let origin = any_origin(rng, now);
                let meeting = Meeting { origin, ..rng.pick(&self.known_meetings) };
                PoolCall::Confirm(Box::new(meeting), now, pending_ends)
            }
            74..80 => {
                let claim = self.known_meetings.last().and_then(|last| last.claim.as_ref());
                let token = claim.map(|claim| claim.token.clone());
                let token = token.unwrap_or_else(|| rng.pick(&TOKENS).to_owned());
                PoolCall::Release(key.clone(), token, any_pending_ends(rng, now))
            }
            80..84 => {
                let server = self.known_meetings.last().map(|last| last.server.0.clone());
                let server = server.unwrap_or_else(|| rng.pick(&SERVERS).to_owned());
                PoolCall::Forget(key.clone(), server, any_pending_ends(rng, now).pop())
            }
            84..86 => PoolCall::ForgetAll(rng.pick(&SERVERS)),
            86..89 if !self.forgotten_meetings.is_empty() => {
                let mut meeting = rng.pick(&self.forgotten_meetings);
                meeting.detached = rng.is_one_in(2);
                PoolCall::Restore(Box::new(meeting))
            }
            86..97 => PoolCall::Join(key.clone(), 1 + rng.number_below(9), now),
            97..100 => PoolCall::Sweep(now.plus_ms(-rng.ms_below(1500))),
            _ => PoolCall::Place(any_request(rng, now)),
        }
    }
}

impl CallSequence {
    /// A poll, in most cases of a server with a meeting and with a report of that meeting.
    fn any_poll(&self, rng: &mut TestRng) -> PoolCall {
        let mut observation = any_observation(rng, self.now);
        let Some(known) = self.known_meetings.last().filter(|_| !rng.is_one_in(3)) else {
            return PoolCall::Poll(rng.pick(&SERVERS), observation);
        };
        if let (Ok(list), false) = (&mut observation.result, rng.is_one_in(3)) {
            let MeetingKey { tenant, id } = known.key.clone();
            let created_at = known.placed_at;
            list.push(ReportedMeeting {
                id,
                tenant,
                created_at,
                users: 3,
                internal_id: any_internal_id(rng),
                ..ReportedMeeting::default()
            });
        }
        let server = SERVERS.into_iter().find(|id| *id == known.server.0);
        PoolCall::Poll(server.unwrap_or("a"), observation)
    }
}

fn any_server(rng: &mut TestRng, id: &str, now: Timestamp) -> Server {
    let mut server = open_server(id, f64::from(rng.number_below(80)) / 4.0);
    server.load_multiplier = rng.pick(&MULTIPLIERS);
    server.tag = rng.is_one_in(5).then(|| "red".to_owned());
    server.health.online = !rng.is_one_in(6);
    server.health.last_failure =
        rng.is_one_in(3).then(|| ServerFailure { at: now, reason: "'früher'".to_owned() });
    server.load = server.load.filter(|_| server.health.online);
    server.set_state(rng.pick(&STATES));
    server.limits.max_meetings = rng.is_one_in(6).then(|| rng.number_below(4));
    server.limits.max_users = rng.is_one_in(6).then(|| rng.number_below(90));
    server.limits.tier = rng.pick(&[0, 0, 0, 1]);
    server
}

fn any_change(rng: &mut TestRng) -> ServerChange {
    let number = rng.number_below(100);
    ServerChange {
        url: rng.is_one_in(4).then(|| format!("https://u{number}.example.test/api")),
        join_url: rng
            .is_one_in(5)
            .then(|| rng.is_one_in(2).then(|| format!("https://proxy/{number}/api"))),
        secret: rng.is_one_in(4).then(|| format!("secret '{number}'")),
        tag: rng.is_one_in(4).then(|| rng.is_one_in(2).then(|| "red".to_owned())),
        state: rng.is_one_in(2).then(|| rng.pick(&STATES)),
        load_multiplier: rng.is_one_in(3).then(|| rng.pick(&MULTIPLIERS)),
        max_meetings: rng.is_one_in(5).then(|| rng.is_one_in(3).then(|| rng.number_below(4))),
        max_users: rng.is_one_in(5).then(|| rng.is_one_in(3).then(|| rng.number_below(90))),
        tier: rng.is_one_in(5).then(|| rng.number_below(2)),
    }
}

fn any_request(rng: &mut TestRng, now: Timestamp) -> PlaceRequest {
    let expected_users = rng.pick(&[15, 15, 4, 0]);
    let count = rng.number_below(4);
    PlaceRequest {
        key: rng.pick(&keys()),
        criteria: PlacementCriteria {
            tags: TagRequest::parse(rng.pick(&TAGS)),
            expected_users,
            seed: u64::from(rng.number_below(1000)),
            now,
            tried_servers: SERVERS
                .iter()
                .filter(|_| rng.is_one_in(5))
                .map(|id| server_id(id))
                .collect(),
            same_id_servers: Vec::new(),
            rules: PlacementRules {
                policy: rng.pick(&[
                    PlacementPolicy::Forecast,
                    PlacementPolicy::Reserve,
                    PlacementPolicy::Scalelite,
                ]),
                untagged_may_use_tagged: rng.is_one_in(4),
                max_tier_load: 20.0,
            },
            ..PlacementCriteria::default()
        },
        voice_bridges: (0..=count).map(|_| rng.pick(&BRIDGES).to_owned()).collect(),
        moderator_pw: rng.is_one_in(2).then(|| "'pw'".to_owned()),
        claim: Claim { token: rng.pick(&TOKENS).to_owned(), until: now.plus_ms(rng.ms_below(800)) },
        load: MeetingLoad {
            expected_users,
            expected_until: now.plus_ms(rng.ms_below(3000)),
            users: rng.pick(&[0, 0, 0, 20]),
        },
        now,
        pending_ends: any_pending_ends(rng, now),
        replaces: any_internal_id(rng)
            .filter(|_| rng.is_one_in(4))
            .map(|internal_id| ReplacedRecord { internal_id, server: server_id("a") }),
    }
}

fn any_pending_ends(rng: &mut TestRng, now: Timestamp) -> Vec<PendingEnd> {
    let count = if rng.is_one_in(3) { 1 + rng.number_below(2) } else { 0 };
    let pending_end = |_| PendingEnd {
        server: server_id(rng.pick(&SERVERS)),
        key: rng.pick(&keys()),
        internal_id: if rng.is_one_in(4) { any_internal_id(rng) } else { None },
        moderator_pw: rng.is_one_in(2).then(|| "'pw'".to_owned()),
        since: now.plus_ms(-rng.ms_below(150_000)),
        create_sent_at: if rng.is_one_in(2) {
            now.plus_ms(-rng.ms_below(20_000))
        } else {
            Timestamp(0)
        },
    };
    (0..count).map(pending_end).collect()
}

fn any_internal_id(rng: &mut TestRng) -> Option<String> {
    rng.pick(&[None, Some("i-1"), Some("i-1"), Some("'ï'-2")]).map(str::to_owned)
}

fn any_origin(rng: &mut TestRng, now: Timestamp) -> MeetingOrigin {
    let created_at = now.plus_ms(-rng.ms_below(9_000));
    let identity = MeetingIdentity::from_parts(any_internal_id(rng), created_at);
    if rng.is_one_in(3) {
        MeetingOrigin::adopted(identity)
    } else {
        MeetingOrigin::proven(identity)
    }
}

fn any_observation(rng: &mut TestRng, now: Timestamp) -> PollObservation {
    let reported = (0..rng.number_below(6)).map(|n| ReportedMeeting {
        id: match rng.pick(&[Some("m"), Some("M"), Some("n"), Some("o "), None]) {
            Some(id) => id.to_owned(),
            None => format!("unknown {n}"),
        },
        tenant: rng.pick(&[None, None, Some("t"), Some("T")]).map(str::to_owned),
        created_at: now.plus_ms(-rng.ms_below(1_200_000)),
        users: rng.number_below(40),
        has_unknown_users: rng.is_one_in(8),
        videos: rng.number_below(3),
        is_breakout: rng.is_one_in(8),
        voice_bridge: rng.is_one_in(2).then(|| rng.pick(&BRIDGES).to_owned()),
        moderator_pw: rng.is_one_in(2).then(|| "'theirs'".to_owned()),
        ownership: if rng.is_one_in(2) { OwnershipHint::Ours } else { OwnershipHint::NotOurs },
        internal_id: any_internal_id(rng),
    });
    let reported = reported.collect();
    let unreadable = if rng.is_one_in(4) { Some(rng.pick(&["m", "n", "o "])) } else { None };
    PollObservation {
        started_at: now.plus_ms(-rng.ms_below(500)),
        finished_at: now,
        known_answer: Timestamp::default(),
        result: if rng.is_one_in(3) { Err("«timeout»".to_owned()) } else { Ok(reported) },
        unreadable: UnreadableMeetings {
            ids: unreadable.map(str::to_owned).into_iter().collect(),
            has_unknown: rng.is_one_in(8),
        },
    }
}
