//! Many tasks at one store: whatever the order, one of them comes first.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use app::ports::{Located, PlaceRequest, Placed};
use domain::Meeting;
use tokio::sync::Barrier;

use super::store::{
    CLAIM_MS, NOW, SEATS, Store, answer, key, open, reported, request, request_at, weighing,
};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        one_of_many_places_a_meeting,
        one_of_many_replaces_an_expired_claim,
        many_meetings_spread_evenly,
        overlapping_voice_bridges_are_given_once,
        scarce_voice_bridges_are_all_given,
        joins_add_up,
        joins_and_polls_agree,
        places_and_releases_of_one_meeting_take_turns,
        confirm_and_release_exclude_each_other,
    ]
}

/// Runs tasks that start together, and returns what they return, in their order.
pub(super) async fn together<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
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

/// A request whose claim and password are its own.
fn by(n: usize, mut request: PlaceRequest) -> PlaceRequest {
    request.claim.token = format!("token {n}");
    request.moderator_pw = Some(format!("password {n}"));
    request
}

async fn place_all(store: &Store, requests: impl IntoIterator<Item = PlaceRequest>) -> Vec<Placed> {
    let tasks = requests.into_iter().map(|request| {
        let store = store.clone();
        async move { store.place(request).await }
    });
    together(tasks).await
}

fn won(placed: &[Placed]) -> Vec<&Located> {
    let won = placed.iter().filter_map(|placed| match placed {
        Placed::Won(located) => Some(located),
        _ => None,
    });
    won.collect()
}

fn bridges<'a>(meetings: impl IntoIterator<Item = &'a Meeting>) -> Vec<&'a str> {
    let mut all: Vec<_> = meetings
        .into_iter()
        .map(|meeting| meeting.voice_bridge.as_deref().expect("a number"))
        .collect();
    all.sort_unstable();
    all
}

pub(super) fn seats(meetings: usize) -> f64 {
    f64::from(u32::try_from(meetings).unwrap() * SEATS)
}

/// Exactly one won, and all others know what it won.
fn assert_one_won(placed: &[Placed]) -> &Located {
    let won = won(placed);
    assert_eq!(won.len(), 1, "exactly one wins: {won:?}");
    for placed in placed {
        match placed {
            Placed::Won(_) => {}
            Placed::Known(known) => assert_eq!(known.meeting, won[0].meeting),
            other => panic!("neither won nor known: {other:?}"),
        }
    }
    won[0]
}

async fn one_of_many_places_a_meeting(factory: Factory<'_>) {
    for round in 0..10 {
        let store = Store::with(factory, &[open("a", 0.0), open("b", 0.0), open("c", 0.0)]).await;
        let requests = (0..64).map(|n| {
            let number = (20_000 + n).to_string();
            by(n, request(&format!("meeting {round}"), &[&number]))
        });
        let placed = place_all(&store, requests).await;
        let won = assert_one_won(&placed);
        assert_eq!(store.meetings().await, std::slice::from_ref(&won.meeting));
        let load: f64 = store.servers().await.iter().filter_map(|one| one.load).sum();
        assert_eq!(load, seats(1), "only one place weighs");
    }
}

async fn one_of_many_replaces_an_expired_claim(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 1.0)]).await;
    let mut now = NOW;
    for round in 0..10 {
        let requests = (0..24).map(|n| by(round * 100 + n, request_at(now, "m", &["11111"])));
        let placed = place_all(&store, requests).await;
        let won = assert_one_won(&placed);
        assert_eq!(won.meeting.placed_at, now);
        let load: f64 = store.servers().await.iter().filter_map(|one| one.load).sum();
        assert_eq!(load, 1.0 + seats(1), "what ran out is undone once");
        now = now.plus_ms(CLAIM_MS + 1);
    }
}

async fn many_meetings_spread_evenly(factory: Factory<'_>) {
    let servers: Vec<_> = (0..10).map(|n| open(&format!("s{n}"), 0.0)).collect();
    let store = Store::with(factory, &servers).await;
    let requests = (0..200).map(|n| request(&format!("m{n}"), &[&(20_000 + n).to_string()]));
    let placed = place_all(&store, requests).await;
    let won = won(&placed);
    assert_eq!(won.len(), 200, "all win");
    let meetings = store.meetings().await;
    let numbers: BTreeSet<_> = bridges(&meetings).into_iter().collect();
    assert_eq!((meetings.len(), numbers.len()), (200, 200));
    let loads: Vec<f64> = store.servers().await.iter().filter_map(|one| one.load).collect();
    assert_eq!(loads.iter().sum::<f64>(), seats(200));
    let most = loads.iter().copied().fold(0.0, f64::max);
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(most - least <= seats(1), "each place sees the ones before it: {loads:?}");
    for server in store.servers().await {
        let here = meetings.iter().filter(|one| one.server == server.id).count();
        assert_eq!(server.load, Some(seats(here)), "{}", server.id);
    }
}

async fn overlapping_voice_bridges_are_given_once(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 0.0)]).await;
    let numbers: Vec<String> = (0..100).map(|n| (20_000 + n).to_string()).collect();
    let requests = (0..100)
        .map(|n| PlaceRequest { voice_bridges: numbers.clone(), ..request(&format!("m{n}"), &[]) });
    let placed = place_all(&store, requests).await;
    let all: Vec<Meeting> = won(&placed).into_iter().map(|one| one.meeting.clone()).collect();
    assert_eq!(bridges(&all), numbers, "each number once, and none is skipped");
    assert_eq!(bridges(&store.meetings().await), numbers);
}

async fn scarce_voice_bridges_are_all_given(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 0.0)]).await;
    let numbers: Vec<String> = (0..60).map(|n| (20_000 + n).to_string()).collect();
    let requests = (0..100).map(|n| {
        let mut voice_bridges = numbers.clone();
        voice_bridges.rotate_left(n * 7 % 60);
        PlaceRequest { voice_bridges, ..request(&format!("m{n:02}"), &[]) }
    });
    let placed = place_all(&store, requests).await;
    let refused = placed.iter().filter(|placed| **placed == Placed::NoVoiceBridge);
    assert_eq!((won(&placed).len(), refused.count()), (60, 40));
    assert_eq!(bridges(&store.meetings().await), numbers);
    let load: f64 = store.servers().await.iter().filter_map(|one| one.load).sum();
    assert_eq!(load, seats(60), "who got no number weighs nothing");
}

async fn joins_add_up(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 4.0, 2.5)]).await;
    store.settle(request("m", &["11111"])).await;
    let tasks = (0..50).map(|_| {
        let store = store.clone();
        async move {
            for _ in 0..6 {
                store.join(&key("m"), NOW).await;
            }
        }
    });
    together(tasks).await;
    let located = store.meeting(&key("m")).await.expect("a meeting");
    assert_eq!(located.meeting.seats.users, 300);
    assert_eq!(located.server.load, Some(754.0));
    assert_eq!(store.load("a").await, Some(754.0));
}

/// A join counts in the poll's sum, in what was added after it, or is overwritten by it: never
/// in one of meeting and server only.
async fn joins_and_polls_agree(factory: Factory<'_>) {
    let store = Store::with(factory, &[weighing("a", 0.0, 2.0)]).await;
    store.settle(request("m", &["11111"])).await;
    let tasks = (0..20).map(|n| {
        let store = store.clone();
        async move {
            for round in 0..20 {
                let at = NOW.plus_ms(20 * round + n);
                if n % 4 == 0 {
                    let users = u32::try_from(round).unwrap();
                    store.poll("a", &answer(at, vec![reported("m", NOW, users)])).await;
                } else {
                    store.join(&key("m"), at).await;
                }
            }
        }
    });
    together(tasks).await;
    let located = store.meeting(&key("m")).await.expect("a meeting");
    let taken = located.meeting.seats.taken(NOW.plus_ms(400));
    assert_eq!(located.server.load, Some(f64::from(taken) * 2.0));
}

async fn places_and_releases_of_one_meeting_take_turns(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 0.0)]).await;
    let (holders, wins) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks = (0..24).map(|n| {
        let (store, holders, wins) = (store.clone(), Arc::clone(&holders), Arc::clone(&wins));
        async move {
            for round in 0..20 {
                let asked = by(n * 100 + round, request("m", &["11111"]));
                match store.place(asked.clone()).await {
                    Placed::Won(located) => {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                        assert_eq!(located.meeting.claim.as_ref(), Some(&asked.claim));
                        assert!(!store.release(&asked.key, "of nobody").await);
                        tokio::task::yield_now().await;
                        wins.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        assert!(store.release(&asked.key, &asked.claim.token).await, "it is ours");
                    }
                    Placed::Known(known) => {
                        assert_ne!(known.meeting.claim.as_ref(), Some(&asked.claim));
                        assert!(!store.release(&asked.key, &asked.claim.token).await);
                    }
                    other => panic!("neither won nor known: {other:?}"),
                }
            }
        }
    });
    together(tasks).await;
    assert!(wins.load(Ordering::SeqCst) > 0);
    assert_eq!(store.meetings().await, []);
    assert_eq!(store.servers().await, [open("a", 0.0), open("b", 0.0)]);
}

async fn confirm_and_release_exclude_each_other(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    for round in 0..30 {
        let id = format!("m{round}");
        let won = store.win(request(&id, &[&id])).await.meeting;
        let released = together((0..8).map(|n| {
            let (store, won, id) = (store.clone(), won.clone(), id.clone());
            async move {
                if n == 0 {
                    store.confirm(&won, NOW).await;
                    return false;
                }
                store.release(&won.key, &id).await
            }
        }));
        let released = released.await.into_iter().filter(|released| *released).count();
        assert!(released <= 1, "a claim ends once");
        // Confirmed first, or released first and then put back: it is there and weighs once.
        let stored = store.meeting(&won.key).await.expect("a meeting").meeting;
        assert_eq!(stored, Meeting { claim: None, ..won });
        assert_eq!(store.load("a").await, Some(seats(round + 1)));
    }
}
