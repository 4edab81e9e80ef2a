//! The model: random sequences of calls, made on the store under test and on the implementation
//! in memory, which must answer alike and hold the same afterwards.

mod dice;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use app::memory::MemoryCluster;
use app::ports::{Located, PlaceRequest, Placed, PollReport, ServerChange};
use domain::health::Failure;
use domain::placement::Refusal;
use domain::poll::{Ending, Fate, Observation};
use domain::{Meeting, MeetingKey, Server, Timestamp};

pub(super) use self::dice::Dice;
use self::world::{SERVERS, World, keys};
use super::Factory;
use super::store::{NOW, Store};

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
    let (found, wanted) = (tested.endings().await, model.endings().await);
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
            writeln!(f, "{one:?} {rest:?} {} {:?}", one.placed, one.limits)?;
        }
        Ok(())
    }
}

/// A call with its arguments.
#[derive(Debug)]
enum Call {
    Add(Box<Server>),
    Update(&'static str, ServerChange),
    Remove(&'static str),
    Version(&'static str, String),
    Doubt(&'static str, Failure),
    Poll(&'static str, Observation),
    Place(PlaceRequest),
    Confirm(Box<Meeting>, Timestamp, Vec<Ending>),
    Release(MeetingKey, String, Vec<Ending>),
    Forget(MeetingKey, String, Option<Ending>),
    Restore(Box<Meeting>),
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
            Self::Doubt(id, failure) => {
                store.doubt(id, failure).await;
                Answer::Nothing
            }
            Self::Confirm(meeting, now, endings) => {
                store.confirm_and_end(meeting, *now, endings).await;
                Answer::Nothing
            }
            Self::Release(key, token, endings) => {
                Answer::Flag("released", store.release_and_end(key, token, endings).await)
            }
            Self::Forget(key, id, ending) => {
                Answer::Flag("forgotten", store.forget_and_end(key, id, ending.as_ref()).await)
            }
            Self::Restore(meeting) => Answer::Flag("restored", store.restore(meeting).await),
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

fn kind(fate: &Fate) -> &'static str {
    match fate {
        Fate::Seen(..) => "seen",
        Fate::Missed(_) => "missed",
        Fate::Detach => "detached",
        Fate::Forget => "forgotten by a poll",
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
                let verdict = &report.verdict;
                let mut kinds: Vec<_> = verdict.fates.iter().map(|(_, fate)| kind(fate)).collect();
                kinds.extend(verdict.change.map(|_| "went on- or offline"));
                kinds.extend(verdict.drained.then_some("drained"));
                kinds.extend(verdict.adopted.iter().map(|_| "adopted"));
                kinds.extend(verdict.strays.iter().map(|_| "stray"));
                kinds.extend(verdict.settled.iter().map(|_| "settled"));
                kinds.extend((verdict.attached > 0).then_some("attached"));
                kinds
            }
            Self::Joined(None) => vec!["not joined"],
            Self::Joined(Some(located)) if located.is_reachable() => vec!["joined"],
            Self::Joined(Some(_)) => vec!["joined nobody"],
            Self::Placed(Placed::Won(_)) => vec!["won"],
            Self::Placed(Placed::Known(_)) => vec!["known"],
            Self::Placed(Placed::Refused(Refusal::Full)) => vec!["full"],
            Self::Placed(Placed::Refused(Refusal::NoServer)) => vec!["no server"],
            Self::Placed(Placed::Refused(Refusal::TagUnavailable(_))) => vec!["no such tag"],
            Self::Placed(Placed::NoVoiceBridge) => vec!["no voice bridge"],
        }
    }
}
