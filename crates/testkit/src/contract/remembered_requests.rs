//! Remembered requests: of all that claim a key one makes the request, and the others get its answer.

use app::ports::{KeyedRequest, RequestClaim, StateStore};

use super::fixtures::NOW;
use super::state_store::{TestStateStore, hostile_texts};
use super::{ContractCase, StateFactory};

const MAX: usize = 100;

pub(super) fn cases() -> Vec<ContractCase<dyn StateStore>> {
    super::cases![
        a_request_is_made_once_and_answered_again,
        a_key_belongs_to_one_request,
        a_request_without_an_answer_may_be_made_again,
        requests_are_forgotten_in_time,
        the_number_of_requests_is_limited,
        one_of_many_claims_a_request,
    ]
}

fn request(key: &str) -> KeyedRequest {
    KeyedRequest { key: key.to_owned(), fingerprint: format!("of {key}") }
}

async fn claim_at(store: &TestStateStore, request: &KeyedRequest, ms: i64) -> RequestClaim {
    let (now, until) = (NOW.plus_ms(ms), NOW.plus_ms(ms + 100));
    store.state().claim_request(request, now, until, MAX).await.expect("claim_request")
}

async fn answer(store: &TestStateStore, request: &KeyedRequest, answer: &str, ms: i64) {
    let remembered = store.state().remember_answer(request, answer, NOW.plus_ms(ms)).await;
    remembered.expect("remember_answer");
}

async fn forget(store: &TestStateStore, request: &KeyedRequest) {
    store.state().forget_request(request).await.expect("forget_request");
}

async fn a_request_is_made_once_and_answered_again(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    for text in hostile_texts() {
        let request = request(&text.chars().take(200).collect::<String>());
        assert_eq!(claim_at(&store, &request, 0).await, RequestClaim::Claimed, "{text:?}");
        assert_eq!(claim_at(&store, &request, 1).await, RequestClaim::UnderWay);
        answer(&store, &request, &text, 1_000).await;
        assert_eq!(claim_at(&store, &request, 2).await, RequestClaim::Answered(text));
    }
}

async fn a_key_belongs_to_one_request(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let first = request("a");
    let second = KeyedRequest { fingerprint: "other".to_owned(), ..first.clone() };
    assert_eq!(claim_at(&store, &first, 0).await, RequestClaim::Claimed);
    assert_eq!(claim_at(&store, &second, 0).await, RequestClaim::OtherRequest);
    answer(&store, &second, "wrong", 1_000).await;
    forget(&store, &second).await;
    assert_eq!(claim_at(&store, &first, 0).await, RequestClaim::UnderWay);
    answer(&store, &first, "right", 1_000).await;
    assert_eq!(claim_at(&store, &second, 0).await, RequestClaim::OtherRequest);
    assert_eq!(claim_at(&store, &first, 0).await, RequestClaim::Answered("right".to_owned()));
}

async fn a_request_without_an_answer_may_be_made_again(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let request = request("a");
    forget(&store, &request).await;
    assert_eq!(claim_at(&store, &request, 0).await, RequestClaim::Claimed);
    forget(&store, &request).await;
    assert_eq!(claim_at(&store, &request, 0).await, RequestClaim::Claimed);
    answer(&store, &request, "yes", 1_000).await;
    forget(&store, &request).await;
    assert_eq!(claim_at(&store, &request, 0).await, RequestClaim::Answered("yes".to_owned()));
}

async fn requests_are_forgotten_in_time(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let (claimed, answered) = (request("a"), request("b"));
    for request in [&claimed, &answered] {
        assert_eq!(claim_at(&store, request, 0).await, RequestClaim::Claimed);
    }
    answer(&store, &answered, "yes", 500).await;
    assert_eq!(claim_at(&store, &claimed, 99).await, RequestClaim::UnderWay);
    assert_eq!(claim_at(&store, &claimed, 100).await, RequestClaim::Claimed);
    assert_eq!(claim_at(&store, &answered, 499).await, RequestClaim::Answered("yes".to_owned()));
    assert_eq!(claim_at(&store, &answered, 500).await, RequestClaim::Claimed);
    answer(&store, &request("never claimed"), "no", 1_000).await;
    assert_eq!(claim_at(&store, &request("never claimed"), 500).await, RequestClaim::Claimed);
}

async fn the_number_of_requests_is_limited(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let claim = async |number: i64| {
        let (until, request) = (NOW.plus_ms(1_000 + number), request(&number.to_string()));
        store.state().claim_request(&request, NOW, until, 3).await.expect("claim_request")
    };
    for number in 0..5 {
        assert_eq!(claim(number).await, RequestClaim::Claimed);
    }
    assert_eq!(claim(4).await, RequestClaim::UnderWay);
    assert_eq!(claim(3).await, RequestClaim::UnderWay);
    assert_eq!(claim(2).await, RequestClaim::UnderWay);
    assert_eq!(claim(1).await, RequestClaim::Claimed, "the one that ended first was forgotten");
}

async fn one_of_many_claims_a_request(factory: StateFactory<'_>) {
    let store = TestStateStore::new(factory).await;
    let request = request("a");
    let tries = (0..8).map(|_| claim_at(&store, &request, 0));
    let claims = futures_util::future::join_all(tries).await;
    let made = claims.iter().filter(|claim| **claim == RequestClaim::Claimed).count();
    assert_eq!(made, 1, "{claims:?}");
    assert!(claims.iter().all(|claim| *claim != RequestClaim::OtherRequest));
}
