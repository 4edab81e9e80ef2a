//! The model: random sequences of calls, made on the store under test and on the implementation in
//! memory. Both must return the same and hold the same data after each call.

mod call_sequence;
mod rng;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use app::memory::MemoryPoolStore;
use app::ports::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, ServerChange, StateStore,
};
use domain::health::ServerFailure;
use domain::placement::PlacementRefusal;
use domain::poll::{MeetingUpdate, PendingEnd, PollObservation};
use domain::{Meeting, MeetingKey, Server, Timestamp};

use self::call_sequence::{CallSequence, SERVERS, keys};
pub(super) use self::rng::TestRng;
use super::fixtures::NOW;
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

/// The number of calls in a sequence.
const STEPS: usize = 40;

/// How often each kind of outcome occurred, by its name: shows that the sequences reach it.
pub type OutcomeCounts = BTreeMap<&'static str, u32>;

/// A case for each seed: `sequences` random sequences of calls.
#[must_use]
pub fn pool_model_cases(
    sequences: u32,
    seeds: RangeInclusive<u32>,
) -> Vec<ContractCase<dyn StateStore>> {
    let case = |seed| {
        let name = format!("random_calls_of_seed_{seed}");
        ContractCase::new(module_path!(), &name, move |factory| {
            Box::pin(async move { drop(compare_pool_store(factory, sequences, seed).await) })
        })
    };
    seeds.map(case).map(ContractCase::on_state_stores).collect()
}

/// Makes `sequences` random sequences of calls, the same ones for the same seed.
///
/// # Panics
/// When the store differs from the implementation in memory. The message names the seed and the
/// calls of the sequence.
pub async fn compare_pool_store(
    factory: PoolFactory<'_>,
    sequences: u32,
    seed: u32,
) -> OutcomeCounts {
    let mut counts = OutcomeCounts::new();
    for sequence in 0..sequences {
        let mut rng = TestRng::new(seed, sequence);
        let tested = TestPoolStore::new(factory).await;
        let model =
            TestPoolStore::new(&|| Box::pin(async { Arc::new(MemoryPoolStore::default()) as _ }))
                .await;
        let mut log = SequenceLog::new(seed, sequence);
        let mut calls = CallSequence::default();
        for _ in 0..STEPS {
            let call = calls.next_call(&mut rng);
            log.calls.push(format!("{:>8} {call:?}", calls.now.ms_since(NOW)));
            let expected = call.run_on(&model).await;
            let found = call.run_on(&tested).await;
            assert!(found == expected, "{log}\nfound {found:?}\nexpected {expected:?}");
            for name in expected.outcome_names() {
                *counts.entry(name).or_default() += 1;
            }
            calls.record_response(expected);
            assert_same(&tested, &model, &log).await;
        }
        assert_same_by_key(&tested, &model, &log).await;
    }
    counts
}

async fn assert_same(tested: &TestPoolStore, model: &TestPoolStore, log: &SequenceLog) {
    let (found, expected) = (tested.list_servers().await, model.list_servers().await);
    let same = found == expected;
    assert!(same, "{log}\nfound {}\nexpected {}", ServerDetails(&found), ServerDetails(&expected));
    let (found, expected) = (tested.list_meetings().await, model.list_meetings().await);
    assert!(found == expected, "{log}\nfound {found:#?}\nexpected {expected:#?}");
    let (found, expected) = (tested.list_pending_ends().await, model.list_pending_ends().await);
    assert!(found == expected, "{log}\nfound {found:#?}\nexpected {expected:#?}");
}

async fn assert_same_by_key(tested: &TestPoolStore, model: &TestPoolStore, log: &SequenceLog) {
    for id in SERVERS {
        assert!(tested.find_server(id).await == model.find_server(id).await, "{log}\nserver {id}");
        let (found, expected) =
            (tested.list_meetings_on(id).await, model.list_meetings_on(id).await);
        assert!(found == expected, "{log}\nfound {found:#?}\nexpected {expected:#?}");
    }
    for key in keys() {
        let (found, expected) = (tested.find_meeting(&key).await, model.find_meeting(&key).await);
        assert!(found == expected, "{log}\nfound {found:#?}\nexpected {expected:#?}");
    }
}

/// The calls of a sequence so far, for messages.
struct SequenceLog {
    seed: u32,
    sequence: u32,
    calls: Vec<String>,
}

impl SequenceLog {
    fn new(seed: u32, sequence: u32) -> Self {
        Self { seed, sequence, calls: Vec::new() }
    }
}

impl fmt::Display for SequenceLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, sequence, calls } = self;
        writeln!(f, "the stores differ: seed {seed}, sequence {sequence}, after the calls")?;
        f.write_str(&calls.join("\n"))
    }
}

/// Servers with the fields that the `Debug` output of [`Server`] leaves out.
struct ServerDetails<'a>(&'a [Server]);

impl fmt::Display for ServerDetails<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for server in self.0 {
            let Server { secret, tag, load_multiplier, stats, bbb_version, .. } = server;
            let hidden = (secret, tag, load_multiplier, stats, bbb_version);
            writeln!(f, "{server:?} {hidden:?} {} {:?}", server.placed_since_poll, server.limits)?;
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

/// What a call returned.
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

/// Removes the counts of users, since [`app::ports::PoolStore::record_join`] need not return the
/// effects of other joins.
fn without_counts(mut found: MeetingOnServer) -> MeetingOnServer {
    found.meeting.load.users = 0;
    found.server.load = found.server.load.map(|_| 0.0);
    found
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
            Self::Confirm(meeting, now, pending_ends) => {
                store.confirm_and_end(meeting, *now, pending_ends).await;
                PoolResponse::Nothing
            }
            Self::Release(key, token, pending_ends) => PoolResponse::Flag(
                "released",
                store.release_and_end(key, token, pending_ends).await,
            ),
            Self::Forget(key, id, pending_end) => PoolResponse::Flag(
                "forgotten",
                store.forget_and_end(key, id, pending_end.as_ref()).await,
            ),
            Self::Restore(meeting) => {
                PoolResponse::Flag("restored", store.restore_meeting(meeting).await)
            }
            Self::ForgetAll(id) => {
                PoolResponse::Removed("all forgotten", Some(store.forget_server_meetings(id).await))
            }
            Self::Join(key, times, now) => {
                let mut found = None;
                for _ in 0..*times {
                    found = store.record_join(key, *now).await;
                }
                PoolResponse::Joined(found.map(without_counts).map(Box::new))
            }
            Self::Sweep(since) => {
                PoolResponse::Removed("unseen forgotten", Some(store.forget_unseen(*since).await))
            }
        }
    }
}

fn update_name(update: &MeetingUpdate) -> &'static str {
    match update {
        MeetingUpdate::Reported(..) => "reported",
        MeetingUpdate::Missed(_) => "missed",
        MeetingUpdate::Detached => "detached",
        MeetingUpdate::Forgotten => "forgotten by a poll",
    }
}

impl PoolResponse {
    /// The names of the outcomes that the response shows.
    fn outcome_names(&self) -> Vec<&'static str> {
        match self {
            Self::Flag(name, true) => vec![name],
            Self::Removed(name, Some(meetings)) if !meetings.is_empty() => vec![name],
            Self::Server(Some(_)) => vec!["updated"],
            Self::Nothing | Self::Flag(..) | Self::Removed(..) | Self::Server(None) => {
                vec!["nothing"]
            }
            Self::Polled(None) => vec!["not polled"],
            Self::Polled(Some(report)) => {
                let outcome = &report.outcome;
                let updates = outcome.meeting_updates.iter();
                let mut names: Vec<_> = updates.map(|(_, update)| update_name(update)).collect();
                names.extend(outcome.change.map(|_| "went on- or offline"));
                names.extend(outcome.drained.then_some("drained"));
                names.extend(outcome.adopted.iter().map(|_| "adopted"));
                names.extend(outcome.unwanted.iter().map(|_| "unwanted"));
                names.extend(outcome.settled_ends.iter().map(|_| "settled"));
                names.extend((outcome.attached > 0).then_some("attached"));
                names
            }
            Self::Joined(None) => vec!["not joined"],
            Self::Joined(Some(found)) if found.is_reachable() => vec!["joined"],
            Self::Joined(Some(_)) => vec!["joined unreachable"],
            Self::Placed(PlaceOutcome::Claimed(_)) => vec!["claimed"],
            Self::Placed(PlaceOutcome::Existing(_)) => vec!["existing"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::Full)) => vec!["full"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::NoServer)) => vec!["no server"],
            Self::Placed(PlaceOutcome::Refused(PlacementRefusal::TagUnavailable(_))) => {
                vec!["no such tag"]
            }
            Self::Placed(PlaceOutcome::NoVoiceBridge) => vec!["no voice bridge"],
            Self::Placed(PlaceOutcome::NothingToReplace) => vec!["nothing to replace"],
        }
    }
}
