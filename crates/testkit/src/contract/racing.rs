//! Placements, joins and claims of many tasks at the same time: their effects are those of some
//! order.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, PoolStore};
use domain::Meeting;
use tokio::sync::Barrier;

use super::fixtures::{
    CLAIM_MS, EXPECTED_USERS, NOW, key, open_server, place_request, place_request_at,
    reported_meeting, successful_poll, weighted_server,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        one_of_many_places_a_meeting,
        one_of_many_replaces_an_expired_claim,
        many_meetings_spread_evenly,
        repeated_creates_do_not_weigh,
        overlapping_voice_bridges_are_given_once,
        scarce_voice_bridges_are_all_given,
        joins_add_up,
        joins_and_polls_agree,
        places_and_releases_of_one_meeting_alternate,
        confirm_and_release_exclude_each_other,
    ]
}

/// Runs tasks that start at the same time; returns their results, in the order of the tasks.
pub(super) async fn run_together<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<F> = tasks.into_iter().collect();
    let start = Arc::new(Barrier::new(tasks.len()));
    let spawned: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in spawned {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}

/// The request with a claim and a password of its own.
fn with_own_claim(n: usize, mut request: PlaceRequest) -> PlaceRequest {
    request.claim.token = format!("token {n}");
    request.moderator_pw = Some(format!("password {n}"));
    request
}

async fn place_all(
    store: &TestPoolStore,
    requests: impl IntoIterator<Item = PlaceRequest>,
) -> Vec<PlaceOutcome> {
    let tasks = requests.into_iter().map(|request| {
        let store = store.clone();
        async move { store.place_meeting(request).await }
    });
    run_together(tasks).await
}

fn placed_meetings(placed: &[PlaceOutcome]) -> Vec<&MeetingOnServer> {
    let claimed = placed.iter().filter_map(|placed| match placed {
        PlaceOutcome::Claimed(found) => Some(found),
        _ => None,
    });
    claimed.collect()
}

fn voice_bridges<'a>(meetings: impl IntoIterator<Item = &'a Meeting>) -> Vec<&'a str> {
    let mut all: Vec<_> = meetings
        .into_iter()
        .map(|meeting| meeting.voice_bridge.as_deref().expect("a number"))
        .collect();
    all.sort_unstable();
    all
}

pub(super) fn expected_load(meetings: usize) -> f64 {
    f64::from(u32::try_from(meetings).unwrap() * EXPECTED_USERS)
}

/// Asserts that exactly one request has claimed the meeting, and that all others got that meeting.
fn assert_one_won(placed: &[PlaceOutcome]) -> &MeetingOnServer {
    let claimed = placed_meetings(placed);
    assert_eq!(claimed.len(), 1, "exactly one wins: {claimed:?}");
    for placed in placed {
        match placed {
            PlaceOutcome::Claimed(_) => {}
            PlaceOutcome::Existing(known) => assert_eq!(known.meeting, claimed[0].meeting),
            other => panic!("neither claimed nor existing: {other:?}"),
        }
    }
    claimed[0]
}

async fn one_of_many_places_a_meeting(factory: PoolFactory<'_>) {
    for round in 0..10 {
        let store = TestPoolStore::with(
            factory,
            &[open_server("a", 0.0), open_server("b", 0.0), open_server("c", 0.0)],
        )
        .await;
        let requests = (0..64).map(|n| {
            let number = (20_000 + n).to_string();
            with_own_claim(n, place_request(&format!("meeting {round}"), &[&number]))
        });
        let placed = place_all(&store, requests).await;
        let claimed = assert_one_won(&placed);
        assert_eq!(store.list_meetings().await, std::slice::from_ref(&claimed.meeting));
        let load: f64 = store.list_servers().await.iter().filter_map(|server| server.load).sum();
        assert_eq!(load, expected_load(1), "only one place weighs");
    }
}

async fn one_of_many_replaces_an_expired_claim(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 1.0)]).await;
    let mut now = NOW;
    for round in 0..10 {
        let requests = (0..24)
            .map(|n| with_own_claim(round * 100 + n, place_request_at(now, "m", &["11111"])));
        let placed = place_all(&store, requests).await;
        let claimed = assert_one_won(&placed);
        assert_eq!(claimed.meeting.placed_at, now);
        let load: f64 = store.list_servers().await.iter().filter_map(|server| server.load).sum();
        assert_eq!(load, 1.0 + expected_load(1), "what ran out is undone once");
        now = now.plus_ms(CLAIM_MS + 1);
    }
}

async fn many_meetings_spread_evenly(factory: PoolFactory<'_>) {
    let servers: Vec<_> = (0..10).map(|n| open_server(&format!("s{n}"), 0.0)).collect();
    let store = TestPoolStore::with(factory, &servers).await;
    let requests = (0..200).map(|n| place_request(&format!("m{n}"), &[&(20_000 + n).to_string()]));
    let placed = place_all(&store, requests).await;
    let claimed = placed_meetings(&placed);
    assert_eq!(claimed.len(), 200, "all win");
    let meetings = store.list_meetings().await;
    let numbers: BTreeSet<_> = voice_bridges(&meetings).into_iter().collect();
    assert_eq!((meetings.len(), numbers.len()), (200, 200));
    let loads: Vec<f64> = store.list_servers().await.iter().filter_map(|one| one.load).collect();
    assert_eq!(loads.iter().sum::<f64>(), expected_load(200));
    let most = loads.iter().copied().fold(0.0, f64::max);
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(most - least <= expected_load(1), "each place sees the ones before it: {loads:?}");
    for server in store.list_servers().await {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!(server.load, Some(expected_load(here)), "{}", server.id);
    }
}

/// Front-ends create a meeting once for each user that comes: only one of the creates takes a place.
async fn repeated_creates_do_not_weigh(factory: PoolFactory<'_>) {
    let servers: Vec<_> = (0..4).map(|n| open_server(&format!("s{n}"), 0.0)).collect();
    let store = TestPoolStore::with(factory, &servers).await;
    for round in 1..=10 {
        let requests = (0..4).flat_map(|n| {
            let number = (20_000 + 4 * round + n).to_string();
            let request = place_request(&format!("m{round}-{n}"), &[&number]);
            (0..1 + 2 * n).map(move |copy| with_own_claim(10 * n + copy, request.clone()))
        });
        assert_eq!(placed_meetings(&place_all(&store, requests).await).len(), 4);
        for server in store.list_servers().await {
            assert_eq!(server.load, Some(expected_load(round)), "{} in round {round}", server.id);
        }
    }
}

async fn overlapping_voice_bridges_are_given_once(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    let numbers: Vec<String> = (0..100).map(|n| (20_000 + n).to_string()).collect();
    let requests = (0..100).map(|n| PlaceRequest {
        voice_bridges: numbers.clone(),
        ..place_request(&format!("m{n}"), &[])
    });
    let placed = place_all(&store, requests).await;
    let all: Vec<Meeting> =
        placed_meetings(&placed).into_iter().map(|placed| placed.meeting.clone()).collect();
    assert_eq!(voice_bridges(&all), numbers, "each number once, and none is skipped");
    assert_eq!(voice_bridges(&store.list_meetings().await), numbers);
}

async fn scarce_voice_bridges_are_all_given(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    let numbers: Vec<String> = (0..60).map(|n| (20_000 + n).to_string()).collect();
    let requests = (0..100).map(|n| {
        let mut voice_bridges = numbers.clone();
        voice_bridges.rotate_left(n * 7 % 60);
        PlaceRequest { voice_bridges, ..place_request(&format!("m{n:02}"), &[]) }
    });
    let placed = place_all(&store, requests).await;
    let refused = placed.iter().filter(|placed| **placed == PlaceOutcome::NoVoiceBridge);
    assert_eq!((placed_meetings(&placed).len(), refused.count()), (60, 40));
    assert_eq!(voice_bridges(&store.list_meetings().await), numbers);
    let load: f64 = store.list_servers().await.iter().filter_map(|server| server.load).sum();
    assert_eq!(load, expected_load(60), "who got no number weighs nothing");
}

async fn joins_add_up(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[weighted_server("a", 4.0, 2.5)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    let tasks = (0..50).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..6 {
                store.record_join(&key("m"), NOW).await;
            }
        }
    });
    run_together(tasks).await;
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    assert_eq!(found.meeting.load.users, 300);
    assert_eq!(found.server.load, Some(754.0));
    assert_eq!(store.find_load("a").await, Some(754.0));
}

/// A join is included in a poll, added after it, or overwritten by it, for both the meeting and its
/// server.
async fn joins_and_polls_agree(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[weighted_server("a", 0.0, 2.0)]).await;
    store.place_and_confirm(place_request("m", &["11111"])).await;
    let tasks = (0..20).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..20 {
                let at = NOW.plus_ms(20 * round + n);
                if n % 4 == 0 {
                    let users = u32::try_from(round).unwrap();
                    store
                        .record_poll(
                            "a",
                            &successful_poll(at, vec![reported_meeting("m", NOW, users)]),
                        )
                        .await;
                } else {
                    store.record_join(&key("m"), at).await;
                }
            }
        }
    });
    run_together(tasks).await;
    let found = store.find_meeting(&key("m")).await.expect("a meeting");
    let users = found.meeting.load.counted_users(NOW.plus_ms(400));
    assert_eq!(found.server.load, Some(f64::from(users) * 2.0));
}

async fn places_and_releases_of_one_meeting_alternate(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 0.0)]).await;
    let (holders, wins) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = (0..24).map(|n| {
        let (store, holders, wins) = (store.clone(), Arc::clone(&holders), Arc::clone(&wins));
        async move {
            for round in 0..20 {
                let request = with_own_claim(n * 100 + round, place_request("m", &["11111"]));
                match store.place_meeting(request.clone()).await {
                    PlaceOutcome::Claimed(found) => {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                        assert_eq!(found.meeting.claim.as_ref(), Some(&request.claim));
                        assert!(!store.release_claim(&request.key, "of nobody").await);
                        tokio::task::yield_now().await;
                        wins.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        assert!(
                            store.release_claim(&request.key, &request.claim.token).await,
                            "it is ours"
                        );
                    }
                    PlaceOutcome::Existing(known) => {
                        assert_ne!(known.meeting.claim.as_ref(), Some(&request.claim));
                        assert!(!store.release_claim(&request.key, &request.claim.token).await);
                    }
                    other => panic!("neither claimed nor existing: {other:?}"),
                }
            }
        }
    });
    run_together(tasks).await;
    assert!(wins.load(Ordering::SeqCst) > 0);
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.list_servers().await, [open_server("a", 0.0), open_server("b", 0.0)]);
}

async fn confirm_and_release_exclude_each_other(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    for round in 0..30 {
        let id = format!("m{round}");
        let claimed = store.place_new_meeting(place_request(&id, &[&id])).await.meeting;
        let released = run_together((0..8).map(|n| {
            let (store, claimed, id) = (store.clone(), claimed.clone(), id.clone());
            async move {
                if n == 0 {
                    store.confirm_meeting(&claimed, NOW).await;
                    return false;
                }
                store.release_claim(&claimed.key, &id).await
            }
        }));
        let released = released.await.into_iter().filter(|released| *released).count();
        assert!(released <= 1, "a claim ends once");
        // Confirmed first, or released first and then restored: it exists and is counted once.
        let stored = store.find_meeting(&claimed.key).await.expect("a meeting").meeting;
        assert_eq!(stored, Meeting { claim: None, ..claimed });
        assert_eq!(store.find_load("a").await, Some(expected_load(round + 1)));
    }
}
