//! Placements at the same time as polls, and as changes by administrators.

use std::collections::BTreeMap;

use app::ports::{PlaceOutcome, PoolStore};

use super::fixtures::{
    NOW, avoiding_servers, failed_poll, key, open_server, pending_end, place_request,
    successful_poll, with_token,
};
use super::pool_store::TestPoolStore;
use super::racing::{expected_load, run_together};
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        polls_lose_no_placed_meeting,
        a_server_added_and_removed_stays_consistent,
        removal_leaves_no_meeting_behind,
        a_server_is_added_by_one,
        one_of_many_places_a_detached_meeting_anew,
        tries_of_one_request_end_in_one_place,
    ]
}

/// A poll that started before meetings were placed does not report them: they must be kept and
/// counted. Each round is checked, since a later poll would correct the load.
async fn polls_lose_no_placed_meeting(factory: PoolFactory<'_>) {
    let servers = [open_server("a", 0.0), open_server("b", 0.0)];
    let store = TestPoolStore::with(factory, &servers).await;
    for round in 0..40 {
        let tasks = (0..12).map(|n| {
            let store = store.clone();
            async move {
                let id = format!("m{round}-{n}");
                match n % 4 {
                    0 | 1 => {
                        let server = if n % 4 == 0 { "a" } else { "b" };
                        let report = store.record_poll(server, &successful_poll(NOW, vec![])).await;
                        assert_eq!(report.expect("a server").forgotten, []);
                    }
                    2 => {
                        let claimed = store.place_new_meeting(place_request(&id, &[&id])).await;
                        assert!(store.release_claim(&claimed.meeting.key, &id).await, "{id}");
                    }
                    _ => {
                        let claimed = store.place_new_meeting(place_request(&id, &[&id])).await;
                        store.confirm_meeting(&claimed.meeting, NOW).await;
                    }
                }
                let loads = store.list_servers().await.into_iter().map(|meeting| meeting.load);
                assert!(loads.flatten().all(|load| load >= 0.0));
            }
        });
        run_together(tasks).await;
        let meetings = store.list_meetings().await;
        assert_eq!(meetings.len(), 3 * (round + 1));
        for server in store.list_servers().await {
            let here = meetings.iter().filter(|meeting| meeting.server == server.id);
            assert_eq!(server.load, Some(expected_load(here.count())), "{}", server.id);
        }
    }
}

async fn a_server_added_and_removed_stays_consistent(factory: PoolFactory<'_>) {
    let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
    let tasks = (0..16_u8).map(|n| {
        let store = store.clone();
        async move {
            let (mut made, mut forgotten) = (Vec::new(), Vec::new());
            for round in 0..24_u8 {
                if n < 4 {
                    let good = (n + round) % 3 == 0;
                    let poll = if good { successful_poll(NOW, vec![]) } else { failed_poll(NOW) };
                    let report = store.record_poll("a", &poll).await.expect("a server");
                    assert_eq!(report.server.load.is_some(), report.server.is_online());
                    forgotten.extend(report.forgotten.into_iter().map(|meeting| meeting.key));
                    continue;
                }
                let id = format!("m{n}-{round}");
                if let PlaceOutcome::Claimed(claimed) =
                    store.place_meeting(place_request(&id, &[&id])).await
                {
                    made.push(claimed.meeting.key);
                }
            }
            (made, forgotten)
        }
    });
    let mut lives: BTreeMap<_, i32> = BTreeMap::new();
    for (made, forgotten) in run_together(tasks).await {
        for key in made {
            *lives.entry(key).or_default() += 1;
        }
        for key in forgotten {
            *lives.entry(key).or_default() -= 1;
        }
    }
    assert!(lives.values().all(|left| [0, 1].contains(left)), "forgotten once: {lives:?}");
    lives.retain(|_, left| *left == 1);
    let meetings = store.list_meetings().await;
    let found: Vec<_> = meetings.iter().map(|meeting| &meeting.key).collect();
    assert_eq!(found, lives.keys().collect::<Vec<_>>());
    let server = store.find_server("a").await.expect("a server");
    assert_eq!(server.load, server.is_online().then(|| expected_load(meetings.len())));
}

async fn removal_leaves_no_meeting_behind(factory: PoolFactory<'_>) {
    for _ in 0..10 {
        let store = TestPoolStore::with(factory, &[open_server("a", 0.0)]).await;
        let tasks = (0..24).map(|n| {
            let store = store.clone();
            async move {
                if n == 12 {
                    let removed = store.remove_server("a").await;
                    return (None, removed.expect("it was there"));
                }
                let id = format!("m{n:02}");
                match store.place_meeting(place_request(&id, &[&id])).await {
                    PlaceOutcome::Claimed(claimed) => {
                        store.confirm_meeting(&claimed.meeting, NOW).await;
                        (Some(claimed.meeting.key), Vec::new())
                    }
                    PlaceOutcome::Refused(_) => (None, Vec::new()),
                    other => panic!("neither claimed nor refused: {other:?}"),
                }
            }
        });
        let (made, removed): (Vec<_>, Vec<_>) = run_together(tasks).await.into_iter().unzip();
        let made: Vec<_> = made.into_iter().flatten().collect();
        let removed: Vec<_> = removed.into_iter().flatten().map(|meeting| meeting.key).collect();
        assert_eq!(removed, made, "what was placed was there to be forgotten");
        assert_eq!(store.list_meetings().await, []);
    }
}

async fn a_server_is_added_by_one(factory: PoolFactory<'_>) {
    let store = TestPoolStore::new(factory).await;
    let tasks = (0..32_u8).map(|n| {
        let store = store.clone();
        async move { store.add_server(&open_server("a", f64::from(n))).await }
    });
    let added = run_together(tasks).await;
    let winners: Vec<_> = (0..32_u8).zip(added).filter(|(_, added)| *added).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(store.list_servers().await, [open_server("a", f64::from(winners[0].0))]);
}

async fn one_of_many_places_a_detached_meeting_anew(factory: PoolFactory<'_>) {
    for _ in 0..5 {
        let store = TestPoolStore::with(
            factory,
            &[open_server("a", 0.0), open_server("b", 50.0), open_server("c", 50.0)],
        )
        .await;
        store.place_and_confirm(place_request("m", &["11111"])).await;
        for ms in [1, 2] {
            store.record_poll("a", &failed_poll(NOW.plus_ms(ms))).await;
        }
        let tasks = (0..24).map(|n| {
            let store = store.clone();
            async move {
                store
                    .place_meeting(with_token(&format!("{n}"), place_request("m", &["11111"])))
                    .await
            }
        });
        let placed = run_together(tasks).await;
        let claimed = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Claimed(_)));
        let known = placed.iter().filter(|placed| matches!(placed, PlaceOutcome::Existing(_)));
        assert_eq!((claimed.count(), known.count()), (1, 23));
        assert_eq!(store.list_meetings().await.len(), 1);
        let load: f64 = store.list_servers().await.iter().filter_map(|server| server.load).sum();
        assert_eq!(load, 100.0 + expected_load(1));
    }
}

/// The claim moves to another server while the first server answers: whatever comes first, the
/// response counts.
async fn tries_of_one_request_end_in_one_place(factory: PoolFactory<'_>) {
    let store =
        TestPoolStore::with(factory, &[open_server("a", 0.0), open_server("b", 900.0)]).await;
    for round in 0..20 {
        let id = format!("m{round}");
        let claimed = store.place_new_meeting(place_request(&id, &[&id])).await.meeting;
        let tasks = (0..6).map(|n| {
            let (store, claimed, id) = (store.clone(), claimed.clone(), id.clone());
            async move {
                match n {
                    0 => store.confirm_and_end(&claimed, NOW, &[pending_end("b", &id)]).await,
                    1 | 2 => {
                        let mut request = avoiding_servers(&["a"], place_request(&id, &[&id]));
                        request.pending_ends = vec![pending_end("a", &id)];
                        drop(store.place_meeting(request).await);
                    }
                    _ => {
                        let other = store
                            .place_meeting(with_token("other", place_request(&id, &["x"])))
                            .await;
                        assert!(matches!(other, PlaceOutcome::Existing(_)), "{other:?}");
                    }
                }
            }
        });
        run_together(tasks).await;
        let found = store.find_meeting(&key(&id)).await.expect("a meeting").meeting;
        assert_eq!((found.server.0.as_str(), &found.claim), ("a", &None));
        assert_eq!(found.voice_bridge, Some(id));
        assert!(
            store.list_pending_ends().await.iter().all(|pending_end| pending_end.server.0 == "b")
        );
        let servers = store.list_servers().await;
        assert_eq!(
            (servers[0].load, servers[1].load),
            (Some(expected_load(round + 1)), Some(900.0))
        );
        assert_eq!(servers[1].placed_since_poll, 0);
    }
}
