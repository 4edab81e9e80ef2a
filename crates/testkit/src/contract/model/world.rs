//! What comes next in a random sequence.

use app::ports::{PlaceRequest, Placed, ServerChange};
use domain::health::Failure;
use domain::placement::{Ask, PlacementRules, Policy, TagRequest};
use domain::poll::{Ending, Observation, SeenMeeting};
use domain::{AdminState, Claim, Meeting, MeetingKey, Seats, Server, Timestamp};

use super::super::store::{NOW, key, open, server_id};
use super::dice::Dice;
use super::{Answer, Call};

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
pub(super) struct World {
    pub(super) now: Timestamp,
    added: usize,
    /// Meetings as some call returned them: the store may have other ideas by now.
    known: Vec<Meeting>,
    /// Meetings that were forgotten, and may move in again.
    gone: Vec<Meeting>,
}

impl Default for World {
    fn default() -> Self {
        Self { now: NOW, added: 0, known: Vec::new(), gone: Vec::new() }
    }
}

impl World {
    pub(super) fn remember(&mut self, answer: Answer) {
        match answer {
            Answer::Placed(Placed::Won(located) | Placed::Known(located)) => {
                self.known.push(located.meeting);
            }
            Answer::Gone(_, Some(gone)) => self.gone.extend(gone),
            Answer::Polled(Some(report)) => self.gone.extend(report.forgotten),
            _ => {}
        }
    }

    pub(super) fn next(&mut self, dice: &mut Dice) -> Call {
        let passed = match dice.roll(10) {
            0..3 => 0,
            3..9 => dice.ms(400),
            _ => dice.ms(3000),
        };
        self.now = self.now.plus_ms(passed);
        let now = self.now;
        if self.added < 3 {
            let id = SERVERS[self.added];
            self.added += 1;
            return Call::Add(Box::new(any_server(dice, id, now)));
        }
        let last = self.known.last().filter(|_| !dice.one_in(3));
        let key = last.map_or_else(|| dice.of(&keys()), |last| last.key.clone());
        self.any_call(dice, &key)
    }

    fn any_call(&mut self, dice: &mut Dice, key: &MeetingKey) -> Call {
        let now = self.now;
        match dice.roll(100) {
            0..3 => {
                let id = dice.of(&SERVERS);
                Call::Add(Box::new(any_server(dice, id, now)))
            }
            3..9 => Call::Update(dice.of(&SERVERS), any_change(dice)),
            9..11 => Call::Remove(dice.of(&SERVERS)),
            11..12 => Call::Version(dice.of(&SERVERS), format!("3.0.{}", dice.roll(9))),
            12..16 => Call::Doubt(dice.of(&SERVERS), Failure { at: now, reason: "«»".to_owned() }),
            16..38 => self.any_poll(dice),
            38..64 => Call::Place(any_request(dice, now)),
            64..74 if !self.known.is_empty() => {
                let endings = any_endings(dice, now);
                Call::Confirm(Box::new(dice.of(&self.known)), now, endings)
            }
            74..80 => {
                let claim = self.known.last().and_then(|last| last.claim.as_ref());
                let token = claim.map(|claim| claim.token.clone());
                let token = token.unwrap_or_else(|| dice.of(&TOKENS).to_owned());
                Call::Release(key.clone(), token, any_endings(dice, now))
            }
            80..84 => {
                let server = self.known.last().map(|last| last.server.0.clone());
                let server = server.unwrap_or_else(|| dice.of(&SERVERS).to_owned());
                Call::Forget(key.clone(), server, any_endings(dice, now).pop())
            }
            84..86 => Call::ForgetAll(dice.of(&SERVERS)),
            86..89 if !self.gone.is_empty() => {
                let mut meeting = dice.of(&self.gone);
                meeting.detached = dice.one_in(2);
                Call::Restore(Box::new(meeting))
            }
            86..97 => Call::Join(key.clone(), 1 + dice.roll(9), now),
            97..100 => Call::Sweep(now.plus_ms(-dice.ms(1500))),
            _ => Call::Place(any_request(dice, now)),
        }
    }
}

impl World {
    /// Mostly of a server that has a meeting, which it mostly reports.
    fn any_poll(&self, dice: &mut Dice) -> Call {
        let mut poll = any_observation(dice, self.now);
        let Some(known) = self.known.last().filter(|_| !dice.one_in(3)) else {
            return Call::Poll(dice.of(&SERVERS), poll);
        };
        if let (Ok(list), false) = (&mut poll.result, dice.one_in(3)) {
            let MeetingKey { tenant, id } = known.key.clone();
            let created_at = known.placed_at;
            list.push(SeenMeeting { id, tenant, created_at, users: 3, ..SeenMeeting::default() });
        }
        let server = SERVERS.into_iter().find(|id| *id == known.server.0);
        Call::Poll(server.unwrap_or("a"), poll)
    }
}

fn any_server(dice: &mut Dice, id: &str, now: Timestamp) -> Server {
    let mut server = open(id, f64::from(dice.roll(80)) / 4.0);
    server.load_multiplier = dice.of(&MULTIPLIERS);
    server.tag = dice.one_in(5).then(|| "red".to_owned());
    server.health.online = !dice.one_in(6);
    server.health.last_failure =
        dice.one_in(3).then(|| Failure { at: now, reason: "'früher'".to_owned() });
    server.load = server.load.filter(|_| server.health.online);
    server.set_state(dice.of(&STATES));
    server.limits.max_meetings = dice.one_in(6).then(|| dice.roll(4));
    server.limits.max_users = dice.one_in(6).then(|| dice.roll(90));
    server.limits.tier = dice.of(&[0, 0, 0, 1]);
    server
}

fn any_change(dice: &mut Dice) -> ServerChange {
    let number = dice.roll(100);
    ServerChange {
        url: dice.one_in(4).then(|| format!("https://u{number}.example.test/api")),
        secret: dice.one_in(4).then(|| format!("secret '{number}'")),
        tag: dice.one_in(4).then(|| dice.one_in(2).then(|| "red".to_owned())),
        state: dice.one_in(2).then(|| dice.of(&STATES)),
        load_multiplier: dice.one_in(3).then(|| dice.of(&MULTIPLIERS)),
        max_meetings: dice.one_in(5).then(|| dice.one_in(3).then(|| dice.roll(4))),
        max_users: dice.one_in(5).then(|| dice.one_in(3).then(|| dice.roll(90))),
        tier: dice.one_in(5).then(|| dice.roll(2)),
    }
}

fn any_request(dice: &mut Dice, now: Timestamp) -> PlaceRequest {
    let reserved = dice.of(&[15, 15, 4, 0]);
    let count = dice.roll(4);
    PlaceRequest {
        key: dice.of(&keys()),
        ask: Ask {
            tags: TagRequest::parse(dice.of(&TAGS)),
            seats: reserved,
            seed: u64::from(dice.roll(1000)),
            now,
            avoid: SERVERS.iter().filter(|_| dice.one_in(5)).map(|id| server_id(id)).collect(),
            others: Vec::new(),
            rules: PlacementRules {
                policy: dice.of(&[Policy::Booked, Policy::Reserve, Policy::Scalelite]),
                untagged_may_use_tagged: dice.one_in(4),
                tier_load_max: 20.0,
            },
            ..Ask::default()
        },
        voice_bridges: (0..=count).map(|_| dice.of(&BRIDGES).to_owned()).collect(),
        moderator_pw: dice.one_in(2).then(|| "'pw'".to_owned()),
        claim: Claim { token: dice.of(&TOKENS).to_owned(), until: now.plus_ms(dice.ms(800)) },
        seats: Seats {
            reserved,
            reserved_until: now.plus_ms(dice.ms(3000)),
            users: dice.of(&[0, 0, 0, 20]),
        },
        now,
        endings: any_endings(dice, now),
    }
}

fn any_endings(dice: &mut Dice, now: Timestamp) -> Vec<Ending> {
    let count = if dice.one_in(3) { 1 + dice.roll(2) } else { 0 };
    let one = |_| Ending {
        server: server_id(dice.of(&SERVERS)),
        key: dice.of(&keys()),
        moderator_pw: dice.one_in(2).then(|| "'pw'".to_owned()),
        since: now.plus_ms(-dice.ms(150_000)),
        asked_at: if dice.one_in(2) { now.plus_ms(-dice.ms(20_000)) } else { Timestamp(0) },
    };
    (0..count).map(one).collect()
}

fn any_observation(dice: &mut Dice, now: Timestamp) -> Observation {
    let seen = (0..dice.roll(6)).map(|n| SeenMeeting {
        id: match dice.of(&[Some("m"), Some("M"), Some("n"), Some("o "), None]) {
            Some(id) => id.to_owned(),
            None => format!("unknown {n}"),
        },
        tenant: dice.of(&[None, None, Some("t"), Some("T")]).map(str::to_owned),
        created_at: now.plus_ms(-dice.ms(1_200_000)),
        users: dice.roll(40),
        videos: dice.roll(3),
        is_breakout: dice.one_in(8),
        voice_bridge: dice.one_in(2).then(|| dice.of(&BRIDGES).to_owned()),
        moderator_pw: dice.one_in(2).then(|| "'theirs'".to_owned()),
        ours: dice.one_in(2),
    });
    let seen = seen.collect();
    Observation {
        started_at: now.plus_ms(-dice.ms(500)),
        finished_at: now,
        result: if dice.one_in(3) { Err("«timeout»".to_owned()) } else { Ok(seen) },
    }
}
