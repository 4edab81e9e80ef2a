//! Races between places and what polls and administrators do to servers.

use std::collections::BTreeMap;

use app::ports::Placed;

use super::racing::{seats, together};
use super::store::{NOW, Store, answer, avoiding, by, ending, key, open, request, silence};
use super::{Case, Factory};

pub(super) fn cases(factory: Factory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        polls_lose_no_placed_meeting,
        a_server_that_comes_and_goes_stays_whole,
        removal_leaves_no_meeting_behind,
        a_server_is_added_by_one,
        one_of_many_places_a_detached_meeting_anew,
        tries_of_one_request_end_in_one_place,
    ]
}

/// A poll asked before the meetings were placed does not know them: it must count and keep them.
/// Each round is checked, since a later poll would heal the load.
async fn polls_lose_no_placed_meeting(factory: Factory<'_>) {
    let servers = [open("a", 0.0), open("b", 0.0)];
    let store = Store::with(factory, &servers).await;
    for round in 0..40 {
        let tasks = (0..12).map(|n| {
            let store = store.clone();
            async move {
                let id = format!("m{round}-{n}");
                match n % 4 {
                    0 | 1 => {
                        let server = if n % 4 == 0 { "a" } else { "b" };
                        let report = store.poll(server, &answer(NOW, vec![])).await;
                        assert_eq!(report.expect("a server").forgotten, []);
                    }
                    2 => {
                        let won = store.win(request(&id, &[&id])).await;
                        assert!(store.release(&won.meeting.key, &id).await, "{id}");
                    }
                    _ => {
                        let won = store.win(request(&id, &[&id])).await;
                        store.confirm(&won.meeting, NOW).await;
                    }
                }
                let loads = store.servers().await.into_iter().map(|one| one.load);
                assert!(loads.flatten().all(|load| load >= 0.0));
            }
        });
        together(tasks).await;
        let meetings = store.meetings().await;
        assert_eq!(meetings.len(), 3 * (round + 1));
        for server in store.servers().await {
            let here = meetings.iter().filter(|one| one.server == server.id);
            assert_eq!(server.load, Some(seats(here.count())), "{}", server.id);
        }
    }
}

async fn a_server_that_comes_and_goes_stays_whole(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0)]).await;
    let tasks = (0..16_u8).map(|n| {
        let store = store.clone();
        async move {
            let (mut made, mut forgotten) = (Vec::new(), Vec::new());
            for round in 0..24_u8 {
                if n < 4 {
                    let good = (n + round) % 3 == 0;
                    let poll = if good { answer(NOW, vec![]) } else { silence(NOW) };
                    let report = store.poll("a", &poll).await.expect("a server");
                    assert_eq!(report.server.load.is_some(), report.server.online());
                    forgotten.extend(report.forgotten.into_iter().map(|one| one.key));
                    continue;
                }
                let id = format!("m{n}-{round}");
                if let Placed::Won(won) = store.place(request(&id, &[&id])).await {
                    made.push(won.meeting.key);
                }
            }
            (made, forgotten)
        }
    });
    let mut lives: BTreeMap<_, i32> = BTreeMap::new();
    for (made, forgotten) in together(tasks).await {
        for key in made {
            *lives.entry(key).or_default() += 1;
        }
        for key in forgotten {
            *lives.entry(key).or_default() -= 1;
        }
    }
    assert!(lives.values().all(|left| [0, 1].contains(left)), "forgotten once: {lives:?}");
    lives.retain(|_, left| *left == 1);
    let meetings = store.meetings().await;
    let found: Vec<_> = meetings.iter().map(|one| &one.key).collect();
    assert_eq!(found, lives.keys().collect::<Vec<_>>());
    let server = store.server("a").await.expect("a server");
    assert_eq!(server.load, server.online().then(|| seats(meetings.len())));
}

async fn removal_leaves_no_meeting_behind(factory: Factory<'_>) {
    for _ in 0..10 {
        let store = Store::with(factory, &[open("a", 0.0)]).await;
        let tasks = (0..24).map(|n| {
            let store = store.clone();
            async move {
                if n == 12 {
                    let removed = store.remove("a").await;
                    return (None, removed.expect("it was there"));
                }
                let id = format!("m{n:02}");
                match store.place(request(&id, &[&id])).await {
                    Placed::Won(won) => {
                        store.confirm(&won.meeting, NOW).await;
                        (Some(won.meeting.key), Vec::new())
                    }
                    Placed::Refused(_) => (None, Vec::new()),
                    other => panic!("neither won nor refused: {other:?}"),
                }
            }
        });
        let (made, removed): (Vec<_>, Vec<_>) = together(tasks).await.into_iter().unzip();
        let made: Vec<_> = made.into_iter().flatten().collect();
        let removed: Vec<_> = removed.into_iter().flatten().map(|one| one.key).collect();
        assert_eq!(removed, made, "what was placed was there to be forgotten");
        assert_eq!(store.meetings().await, []);
    }
}

async fn a_server_is_added_by_one(factory: Factory<'_>) {
    let store = Store::new(factory).await;
    let tasks = (0..32_u8).map(|n| {
        let store = store.clone();
        async move { store.add(&open("a", f64::from(n))).await }
    });
    let added = together(tasks).await;
    let winners: Vec<_> = (0..32_u8).zip(added).filter(|(_, added)| *added).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(store.servers().await, [open("a", f64::from(winners[0].0))]);
}

async fn one_of_many_places_a_detached_meeting_anew(factory: Factory<'_>) {
    for _ in 0..5 {
        let store = Store::with(factory, &[open("a", 0.0), open("b", 50.0), open("c", 50.0)]).await;
        store.settle(request("m", &["11111"])).await;
        for ms in [1, 2] {
            store.poll("a", &silence(NOW.plus_ms(ms))).await;
        }
        let tasks = (0..24).map(|n| {
            let store = store.clone();
            async move { store.place(by(&format!("{n}"), request("m", &["11111"]))).await }
        });
        let placed = together(tasks).await;
        let won = placed.iter().filter(|placed| matches!(placed, Placed::Won(_)));
        let known = placed.iter().filter(|placed| matches!(placed, Placed::Known(_)));
        assert_eq!((won.count(), known.count()), (1, 23));
        assert_eq!(store.meetings().await.len(), 1);
        let load: f64 = store.servers().await.iter().filter_map(|one| one.load).sum();
        assert_eq!(load, 100.0 + seats(1));
    }
}

/// The claim moves on while its first place answers: wherever the two meet, the answer counts.
async fn tries_of_one_request_end_in_one_place(factory: Factory<'_>) {
    let store = Store::with(factory, &[open("a", 0.0), open("b", 900.0)]).await;
    for round in 0..20 {
        let id = format!("m{round}");
        let won = store.win(request(&id, &[&id])).await.meeting;
        let tasks = (0..6).map(|n| {
            let (store, won, id) = (store.clone(), won.clone(), id.clone());
            async move {
                match n {
                    0 => store.confirm_and_end(&won, NOW, &[ending("b", &id)]).await,
                    1 | 2 => {
                        let mut asked = avoiding(&["a"], request(&id, &[&id]));
                        asked.endings = vec![ending("a", &id)];
                        drop(store.place(asked).await);
                    }
                    _ => {
                        let other = store.place(by("other", request(&id, &["x"]))).await;
                        assert!(matches!(other, Placed::Known(_)), "{other:?}");
                    }
                }
            }
        });
        together(tasks).await;
        let found = store.meeting(&key(&id)).await.expect("a meeting").meeting;
        assert_eq!((found.server.0.as_str(), &found.claim), ("a", &None));
        assert_eq!(found.voice_bridge, Some(id));
        assert!(store.endings().await.iter().all(|one| one.server.0 == "b"));
        let servers = store.servers().await;
        assert_eq!((servers[0].load, servers[1].load), (Some(seats(round + 1)), Some(900.0)));
        assert_eq!(servers[1].placed, 0);
    }
}
