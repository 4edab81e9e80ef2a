//! The model: random sequences of calls, made on the store under test and on the implementation
//! in memory, which must answer alike and hold the same afterwards.

mod call_sequence;
mod rng;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use app::memory::MemoryPoolStore;
use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, ServerChange};
use domain::health::ServerFailure;
use domain::placement::PlacementRefusal;
use domain::poll::{MeetingUpdate, PendingEnd, PollObservation};
use domain::{Meeting, MeetingKey, Server, Timestamp};

use self::call_sequence::{CallSequence, SERVERS, keys};
pub(super) use self::rng::TestRng;
use super::PoolFactory;
use super::pool_store::{NOW, TestPoolStore};

/// Calls in a sequence.
const STEPS: usize = 40;

/// How often the sequences met each kind of outcome, by its name: shows that they reach them.
pub type OutcomeCounts = BTreeMap<&'static str, u32>;

/// Runs that many random sequences; the same seed gives the same ones.
///
/// # Panics
/// When the store differs from the implementation in memory. Names the seed, and the calls that
/// led there.
pub async fn compare_pool_store(
    factory: PoolFactory<'_>,
    sequences: u32,
    seed: u64,
) -> OutcomeCounts {
    let mut covered = OutcomeCounts::new();
    for sequence in 0..sequences {
        let mut dice = TestRng::new(seed, sequence);
        let tested = TestPoolStore::new(factory).await;
        let model =
            TestPoolStore::new(&|| Box::pin(async { Arc::new(MemoryPoolStore::default()) as _ }))
                .await;
        let mut history = SequenceLog::new(seed, sequence);
        let mut world = CallSequence::default();
        for _ in 0..STEPS {
            let call = world.next_call(&mut dice);
            history.0.push(format!("{:>8} {call:?}", world.now.ms_since(NOW)));
            let expected = call.run_on(&model).await;
            let found = call.run_on(&tested).await;
            assert!(found == expected, "{history}\nfound {found:?}\nwanted {expected:?}");
            for name in expected.outcome_names() {
                *covered.entry(name).or_default() += 1;
            }
            world.record_response(expected);
            assert_same(&tested, &model, &history).await;
        }
        assert_same_by_key(&tested, &model, &history).await;
    }
    covered
}

async fn assert_same(tested: &TestPoolStore, model: &TestPoolStore, history: &SequenceLog) {
    let (found, wanted) = (tested.list_servers().await, model.list_servers().await);
    let same = found == wanted;
    assert!(same, "{history}\nfound {}\nwanted {}", ServerDetails(&found), ServerDetails(&wanted));
    let (found, wanted) = (tested.list_meetings().await, model.list_meetings().await);
    assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
    let (found, wanted) = (tested.list_pending_ends().await, model.list_pending_ends().await);
    assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
}

async fn assert_same_by_key(tested: &TestPoolStore, model: &TestPoolStore, history: &SequenceLog) {
    for id in SERVERS {
        assert!(
            tested.find_server(id).await == model.find_server(id).await,
            "{history}\nserver {id}"
        );
        let (found, wanted) = (tested.list_meetings_on(id).await, model.list_meetings_on(id).await);
        assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
    }
    for key in keys() {
        let (found, wanted) = (tested.find_meeting(&key).await, model.find_meeting(&key).await);
        assert!(found == wanted, "{history}\nfound {found:#?}\nwanted {wanted:#?}");
    }
}

/// What was done so far.
struct SequenceLog(Vec<String>, String);

impl SequenceLog {
    fn new(seed: u64, sequence: u32) -> Self {
        Self(Vec::new(), format!("seed {seed}, sequence {sequence}"))
    }
}

impl fmt::Display for SequenceLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the stores differ: {}, after the calls", self.1)?;
        f.write_str(&self.0.join("\n"))
    }
}

/// Servers with what [`ChangeServer`] hides from people.
struct ServerDetails<'a>(&'a [Server]);

impl fmt::Display for ServerDetails<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for one in self.0 {
            let rest = (&one.secret, &one.tag, one.load_multiplier, one.stats, &one.bbb_version);
            writeln!(f, "{one:?} {rest:?} {} {:?}", one.placed_since_poll, one.limits)?;
        }
        Ok(())
    }
}

/// A call with its arguments.
#[derive(Debug)]
enum PoolCall {
    Add(Box<Server>),
    Update(&'static str, ServerChange),
    Remove(&'static str),
    RecordVersion(&'static str, String),
    ReportFailure(&'static str, ServerFailure),
    Poll(&'static str, PollObservation),
    Place(PlaceRequest),
    Confirm(Box<Meeting>, Timestamp, Vec<PendingEnd>),
    Release(MeetingKey, String, Vec<PendingEnd>),
    Forget(MeetingKey, String, Option<PendingEnd>),
    Restore(Box<Meeting>),
    ForgetAll(&'static str),
    Join(MeetingKey, u32, Timestamp),
    Sweep(Timestamp),
}

/// What a call answered.
#[derive(Debug, PartialEq)]
enum PoolResponse {
    Nothing,
    Flag(&'static str, bool),
    Server(Option<Server>),
    Removed(&'static str, Option<Vec<Meeting>>),
    Polled(Option<PollReport>),
    Placed(PlaceOutcome),
    Joined(Option<Box<MeetingOnServer>>),
}

/// What [`build_app::ports::PoolStore::join`] returns need not know of other joins.
fn without_counts(mut located: MeetingOnServer) -> MeetingOnServer {
    located.meeting.load.users = 0;
    located.server.load = located.server.load.map(|_| 0.0);
    located
}

impl PoolCall {
    async fn run_on(&self, store: &TestPoolStore) -> PoolResponse {
        match self {
            Self::Add(server) => PoolResponse::Flag("added", store.add_server(server).await),
            Self::Update(id, change) => {
                PoolResponse::Server(store.update_server(id, change.clone()).await)
            }
            Self::Remove(id) => PoolResponse::Removed("removed", store.remove_server(id).await),
            Self::RecordVersion(id, version) => {
                store.record_version(id, version).await;
                PoolResponse::Nothing
            }
            Self::Poll(id, observation) => {
                PoolResponse::Polled(store.record_poll(id, observation).await)
            }
            Self::Place(request) => {
                PoolResponse::Placed(store.place_meeting(request.clone()).await)
            }
            Self::ReportFailure(id, failure) => {
                store.report_failure(id, failure).await;
                PoolResponse::Nothing
            }
            Self::Confirm(meeting, now, endings) => {
                store.confirm_and_end(meeting, *now, endings).await;
                PoolResponse::Nothing
            }
            Self::Release(key, token, endings) => {
                PoolResponse::Flag("released", store.release_and_end(key, token, endings).await)
            }
            Self::Forget(key, id, ending) => PoolResponse::Flag(
                "forgotten",
                store.forget_and_end(key, id, ending.as_ref()).await,
            ),
            Self::Restore(meeting) => {
                PoolResponse::Flag("restored", store.restore_meeting(meeting).await)
            }
            Self::ForgetAll(id) => {
                PoolResponse::Removed("all forgotten", Some(store.forget_server_meetings(id).await))
            }
            Self::Join(key, times, now) => {
                let mut located = None;
                for _ in 0..*times {
                    located = store.record_join(key, *now).await;
                }
                PoolResponse::Joined(located.map(without_counts).map(Box::new))
            }
            Self::Sweep(since) => {
                PoolResponse::Removed("swept", Some(store.forget_unseen(*since).await))
            }
        }
    }
}

fn update_name(fate: &MeetingUpdate) -> &'static str {
    match fate {
        MeetingUpdate::Reported(..) => "seen",
        MeetingUpdate::Missed(_) => "missed",
        MeetingUpdate::Detached => "detached",
        MeetingUpdate::Forgotten => "forgotten by a poll",
    }
}

impl PoolResponse {
    /// Names of what it shows.
    fn outcome_names(&self) -> Vec<&'static str> {
        match self {
            Self::Flag(what, true) => vec![what],
            Self::Removed(what, Some(gone)) if !gone.is_empty() => vec![what],
            Self::Server(Some(_)) => vec!["updated"],
            Self::Nothing | Self::Flag(..) | Self::Removed(..) | Self::Server(None) => {
                vec!["nothing"]
            }
            Self::Polled(None) => vec!["not polled"],
            Self::Polled(Some(report)) => {
                let verdict = &report.outcome;
                let mut kinds: Vec<_> =
                    verdict.meeting_updates.iter().map(|(_, fate)| update_name(fate)).collect();
                kinds.extend(verdict.change.map(|_| "went on- or offline"));
                kinds.extend(verdict.drained.then_some("drained"));
                kinds.extend(verdict.adopted.iter().map(|_| "adopted"));
                kinds.extend(verdict.unwanted.iter().map(|_| "stray"));
                kinds.extend(verdict.settled_ends.iter().map(|_| "settled"));
                kinds.extend((verdict.attached > 0).then_some("attached"));
                kinds
            }
            Self::Joined(None) => vec!["not joined"],
            Self::Joined(Some(located)) if located.is_reachable() => vec!["joined"],
            Self::Joined(Some(_)) => vec!["joined nobody"],
            Self::Placed(PlaceOutcome::Claimed(_)) => vec!["won"],
            Self::Placed(PlaceOutcome::Existing(_)) => vec!["known"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::Full)) => vec!["full"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::NoServer)) => vec!["no server"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::TagUnavailable(_))) => {
                vec!["no such tag"]
            }
            Self::Placed(PlaceOutcome::NoVoiceBridge) => vec!["no voice bridge"],
        }
    }
}
