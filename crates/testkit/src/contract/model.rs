//! The model: random sequences of calls, made on the store under test and on the implementation
//! in memory, which must answer alike and hold the same afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use app::memory::MemoryCluster;
use app::ports::{Located, PlaceRequest, Placed, PollReport, ServerChange};
use domain::health::Failure;
use domain::placement::{Ask, Refusal, TagRequest};
use domain::poll::{Fate, Observation, SeenMeeting};
use domain::{AdminState, Claim, Meeting, MeetingKey, Seats, Server, Timestamp};

use super::Factory;
use super::store::{NOW, Store, key, open};

/// Calls in a sequence.
const STEPS: usize = 40;

/// How often the sequences met each kind of outcome, by its name: shows that they reach them.
pub type Covered = BTreeMap<&'static str, u32>;

/// Runs that many random sequences; the same seed gives the same ones.
///
/// # Panics
/// When the store differs from the implementation in memory. Names the seed, and the calls that
/// led there.
pub async fn cluster_model(factory: Factory<'_>, sequences: u32, seed: u64) -> Covered {
    let mut covered = Covered::new();
    for sequence in 0..sequences {
        let mut dice = Dice::new(seed, sequence);
        let tested = Store::new(factory).await;
        let model =
            Store::new(&|| Box::pin(async { Arc::new(MemoryCluster::default()) as _ })).await;
        let mut history = History::new(seed, sequence);
        let mut world = World::default();
        for _ in 0..STEPS {
            let call = world.next(&mut dice);
            history.0.push(format!("{:>8} {call:?}", world.now.ms_since(NOW)));
            let expected = call.make(&model).await;
            let found = call.make(&tested).await;
            assert!(found == expected, "{history}\nfound {found:?}\nwanted {expected:?}");
            for name in expected.kinds() {
                *covered.entry(name).or_default() += 1;
            }
            world.remember(expected);
            assert_same(&tested, &model, &history).await;
        }
        assert_same_by_key(&tested, &model, &history).await;
    }
    covered
}

async fn assert_same(tested: &Store, model: &Store, history: &History) {
    let (found, wanted) = (tested.servers().await, model.servers().await);
    let same = found == wanted;
    assert!(same, "{history}\nfound {}\nwanted {}", Whole(&found), Whole(&wanted));
    let (found, wanted) = (tested.meetings().await, model.meetings().await);
    assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
}

async fn assert_same_by_key(tested: &Store, model: &Store, history: &History) {
    for id in SERVERS {
        assert!(tested.server(id).await == model.server(id).await, "{history}\nserver {id}");
        let (found, wanted) = (tested.meetings_on(id).await, model.meetings_on(id).await);
        assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
    }
    for key in keys() {
        let (found, wanted) = (tested.meeting(&key).await, model.meeting(&key).await);
        assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
    }
}

/// What was done so far.
struct History(Vec<String>, String);

impl History {
    fn new(seed: u64, sequence: u32) -> Self {
        Self(Vec::new(), format!("seed {seed}, sequence {sequence}"))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the stores differ: {}, after the calls", self.1)?;
        f.write_str(&self.0.join("\n"))
    }
}

/// Servers with what [`Server`] hides from people.
struct Whole<'a>(&'a [Server]);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.0 {
            let rest = (&one.secret, &one.tag, one.load_multiplier, one.stats, &one.bbb_version);
            writeln!(f, "{one:?} {rest:?}")?;
        }
        Ok(())
    }
}

/// The last one is never added at first.
const SERVERS: [&str; 4] = ["a", "b", "c", "A"];
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

fn keys() -> [MeetingKey; 6] {
    let of_tenant = |tenant: &str, id| MeetingKey { tenant: Some(tenant.to_owned()), ..key(id) };
    [key("m"), key("M"), key("n"), key("o "), of_tenant("t", "m"), of_tenant("T", "m")]
}

/// A small generator (xorshift64*), the same everywhere.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, sequence: u32) -> Self {
        let mixed = seed ^ u64::from(sequence).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut dice = Self(mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        u32::try_from(high).unwrap_or(0) % sides
    }

    fn ms(&mut self, below: u32) -> i64 {
        i64::from(self.roll(below))
    }

    fn one_in(&mut self, sides: u32) -> bool {
        self.roll(sides) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        let at = self.roll(u32::try_from(all.len()).unwrap_or(u32::MAX));
        all[at as usize].clone()
    }
}

/// A call with its arguments.
#[derive(Debug)]
enum Call {
    Add(Box<Server>),
    Update(&'static str, ServerChange),
    Remove(&'static str),
    Version(&'static str, String),
    Poll(&'static str, Observation),
    Place(PlaceRequest),
    Confirm(Box<Meeting>, Timestamp),
    Release(MeetingKey, String),
    Forget(MeetingKey, String),
    ForgetAll(&'static str),
    Join(MeetingKey, u32, Timestamp),
    Sweep(Timestamp),
}

/// What a call answered.
#[derive(Debug, PartialEq)]
enum Answer {
    Nothing,
    Flag(&'static str, bool),
    Server(Option<Server>),
    Gone(&'static str, Option<Vec<Meeting>>),
    Polled(Option<PollReport>),
    Placed(Placed),
    Joined(Option<Box<Located>>),
}

/// What [`app::ports::Cluster::join`] returns need not know of other joins.
fn without_counts(mut located: Located) -> Located {
    located.meeting.seats.users = 0;
    located.server.load = located.server.load.map(|_| 0.0);
    located
}

impl Call {
    async fn make(&self, store: &Store) -> Answer {
        match self {
            Self::Add(server) => Answer::Flag("added", store.add(server).await),
            Self::Update(id, change) => Answer::Server(store.update(id, change.clone()).await),
            Self::Remove(id) => Answer::Gone("removed", store.remove(id).await),
            Self::Version(id, version) => {
                store.record_version(id, version).await;
                Answer::Nothing
            }
            Self::Poll(id, observation) => Answer::Polled(store.poll(id, observation).await),
            Self::Place(request) => Answer::Placed(store.place(request.clone()).await),
            Self::Confirm(meeting, now) => {
                store.confirm(meeting, *now).await;
                Answer::Nothing
            }
            Self::Release(key, token) => Answer::Flag("released", store.release(key, token).await),
            Self::Forget(key, id) => Answer::Flag("forgotten", store.forget(key, id).await),
            Self::ForgetAll(id) => Answer::Gone("all forgotten", Some(store.forget_all(id).await)),
            Self::Join(key, times, now) => {
                let mut located = None;
                for _ in 0..*times {
                    located = store.join(key, *now).await;
                }
                Answer::Joined(located.map(without_counts).map(Box::new))
            }
            Self::Sweep(since) => Answer::Gone("swept", Some(store.sweep(*since).await)),
        }
    }
}

impl Answer {
    /// Names of what it shows.
    fn kinds(&self) -> Vec<&'static str> {
        match self {
            Self::Flag(what, true) => vec![what],
            Self::Gone(what, Some(gone)) if !gone.is_empty() => vec![what],
            Self::Server(Some(_)) => vec!["updated"],
            Self::Nothing | Self::Flag(..) | Self::Gone(..) | Self::Server(None) => vec!["nothing"],
            Self::Polled(None) => vec!["not polled"],
            Self::Polled(Some(report)) => {
                let fates = report.verdict.fates.iter().map(|(_, fate)| match fate {
                    Fate::Seen(_) => "seen",
                    Fate::Forget => "forgotten by a poll",
                });
                let change = report.verdict.change.map(|_| "went on- or offline");
                let drained = report.verdict.drained.then_some("drained");
                fates.chain(change).chain(drained).collect()
            }
            Self::Joined(None) => vec!["not joined"],
            Self::Joined(Some(located)) if located.server.accepts_joins() => vec!["joined"],
            Self::Joined(Some(_)) => vec!["joined nobody"],
            Self::Placed(Placed::Won(_)) => vec!["won"],
            Self::Placed(Placed::Known(_)) => vec!["known"],
            Self::Placed(Placed::Refused(Refusal::NoServer)) => vec!["no server"],
            Self::Placed(Placed::Refused(Refusal::TagUnavailable(_))) => vec!["no such tag"],
            Self::Placed(Placed::NoVoiceBridge) => vec!["no voice bridge"],
        }
    }
}

/// What the sequence so far means for its next call.
struct World {
    now: Timestamp,
    added: usize,
    /// Meetings as some call returned them: the store may have other ideas by now.
    known: Vec<Meeting>,
}

impl Default for World {
    fn default() -> Self {
        Self { now: NOW, added: 0, known: Vec::new() }
    }
}

impl World {
    fn remember(&mut self, answer: Answer) {
        if let Answer::Placed(Placed::Won(located) | Placed::Known(located)) = answer {
            self.known.push(located.meeting);
        }
    }

    fn next(&mut self, dice: &mut Dice) -> Call {
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
        match dice.roll(100) {
            0..4 => {
                let id = dice.of(&SERVERS);
                Call::Add(Box::new(any_server(dice, id, now)))
            }
            4..12 => Call::Update(dice.of(&SERVERS), any_change(dice)),
            12..14 => Call::Remove(dice.of(&SERVERS)),
            14..16 => Call::Version(dice.of(&SERVERS), format!("3.0.{}", dice.roll(9))),
            16..32 => Call::Poll(dice.of(&SERVERS), any_observation(dice, now)),
            32..62 => Call::Place(any_request(dice, now)),
            62..74 if !self.known.is_empty() => Call::Confirm(Box::new(dice.of(&self.known)), now),
            74..82 => {
                let claim = last.and_then(|last| last.claim.as_ref());
                let token = claim.map(|claim| claim.token.clone());
                Call::Release(key, token.unwrap_or_else(|| dice.of(&TOKENS).to_owned()))
            }
            82..86 => {
                let server = last.map(|last| last.server.0.clone());
                Call::Forget(key, server.unwrap_or_else(|| dice.of(&SERVERS).to_owned()))
            }
            86..88 => Call::ForgetAll(dice.of(&SERVERS)),
            88..97 => Call::Join(key, 1 + dice.roll(9), now),
            97..100 => Call::Sweep(now.plus_ms(-dice.ms(1500))),
            _ => Call::Place(any_request(dice, now)),
        }
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
    }
}

fn any_observation(dice: &mut Dice, now: Timestamp) -> Observation {
    let seen = (0..dice.roll(4)).map(|n| SeenMeeting {
        id: match dice.of(&[Some("m"), Some("M"), Some("n"), Some("o "), None]) {
            Some(id) => id.to_owned(),
            None => format!("unknown {n}"),
        },
        created_at: now.plus_ms(-dice.ms(1_200_000)),
        users: dice.roll(40),
        videos: dice.roll(3),
        is_breakout: dice.one_in(8),
    });
    let seen = seen.collect();
    Observation {
        started_at: now.plus_ms(-dice.ms(500)),
        finished_at: now,
        result: if dice.one_in(4) { Err("«timeout»".to_owned()) } else { Ok(seen) },
    }
}
