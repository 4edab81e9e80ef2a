//! Turns: what [`domain::turn::next`] decides is what is stored.

use app::ports::Turn;
use domain::turn::{Cycle, next};

use super::hot::{HotStore, hostile};
use super::store::NOW;
use super::{Case, HotFactory};

const INTERVAL_MS: i64 = 60_000;

pub(super) fn cases(factory: HotFactory<'_>) -> Vec<Case<'_>> {
    super::cases![factory;
        one_turn_in_an_interval,
        the_interval_is_that_of_who_asks,
        works_have_their_own_turns,
        a_clock_that_was_wrong_holds_nobody_back,
        turns_are_decided_by_the_domain,
    ]
}

async fn one_turn_in_an_interval(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    for number in 1..=4_i64 {
        let begun = NOW.plus_ms(number * INTERVAL_MS);
        let turn = store.turn("poll", begun, INTERVAL_MS).await;
        assert_eq!(turn, Turn::Yours(number.unsigned_abs()));
        for ms in [0, 1, INTERVAL_MS - 1] {
            let turn = store.turn("poll", begun.plus_ms(ms), INTERVAL_MS).await;
            assert_eq!(turn, Turn::NotBefore(begun.plus_ms(INTERVAL_MS)), "{ms} ms later");
        }
    }
    let long_after = NOW.plus_ms(90 * 86_400_000);
    assert_eq!(store.turn("poll", long_after, INTERVAL_MS).await, Turn::Yours(5), "it counts on");
}

async fn the_interval_is_that_of_who_asks(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    assert_eq!(store.turn("poll", NOW, 0).await, Turn::Yours(1));
    assert_eq!(store.turn("poll", NOW, 0).await, Turn::Yours(2), "always due");
    let later = NOW.plus_ms(500);
    assert_eq!(store.turn("poll", later, 1_000).await, Turn::NotBefore(NOW.plus_ms(1_000)));
    assert_eq!(store.turn("poll", later, 500).await, Turn::Yours(3));
    assert_eq!(store.turn("poll", later, 500).await, Turn::NotBefore(later.plus_ms(500)));
    assert_eq!(store.turn("poll", later, 1).await, Turn::NotBefore(later.plus_ms(1)));
}

async fn works_have_their_own_turns(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    let works = hostile();
    for work in &works {
        assert_eq!(store.turn(work, NOW, INTERVAL_MS).await, Turn::Yours(1), "{work:?}");
    }
    for work in &works {
        let turn = store.turn(work, NOW, INTERVAL_MS).await;
        assert_eq!(turn, Turn::NotBefore(NOW.plus_ms(INTERVAL_MS)), "{work:?}");
    }
}

async fn a_clock_that_was_wrong_holds_nobody_back(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    let ahead = NOW.plus_ms(3_600_000);
    assert_eq!(store.turn("poll", ahead, INTERVAL_MS).await, Turn::Yours(1));
    assert_eq!(store.turn("poll", NOW, INTERVAL_MS).await, Turn::Yours(2));
    let due = Turn::NotBefore(NOW.plus_ms(INTERVAL_MS));
    assert_eq!(store.turn("poll", NOW, INTERVAL_MS).await, due);
    let slow = NOW.plus_ms(-INTERVAL_MS);
    assert_eq!(store.turn("poll", slow, INTERVAL_MS).await, due, "one that is a little late waits");
}

/// Steps of many kinds, each compared with the rule.
async fn turns_are_decided_by_the_domain(factory: HotFactory<'_>) {
    let store = HotStore::new(factory).await;
    let (mut last, mut now): (Option<Cycle>, _) = (None, NOW);
    let steps = [
        0,
        1,
        999,
        1_000,
        1_001,
        -1,
        -999,
        -1_000,
        -1_001,
        -5_000,
        0,
        2_500,
        86_400_000,
        -90_000_000,
    ];
    for step in steps.into_iter().cycle().take(200) {
        now = now.plus_ms(step);
        let turn = store.turn("poll", now, 1_000).await;
        match next(last, now, 1_000) {
            Ok(cycle) => {
                assert_eq!(turn, Turn::Yours(cycle.number));
                last = Some(cycle);
            }
            Err(due) => assert_eq!(turn, Turn::NotBefore(due)),
        }
    }
}
