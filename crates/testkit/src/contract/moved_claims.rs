//! Claims that move to another server, because the create on the first one failed.

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, PoolStore, ServerChange};
use domain::placement::PlacementRefusal;
use domain::poll::PendingEnd;
use domain::{AdminState, Meeting};

use super::failover::{find_meeting, store_with};
use super::fixtures::{
    CLAIM_MS, NOW, avoiding_servers, key, open_server, pending_end, place_request,
    place_request_at, with_placed, with_token,
};
use super::pool_store::TestPoolStore;
use super::{ContractCase, PoolFactory};

pub(super) fn cases() -> Vec<ContractCase<dyn PoolStore>> {
    super::cases![
        a_claim_moves_on,
        a_claim_stays_where_it_is_if_there_is_no_other_place,
        the_earlier_try_wins_after_all,
        an_earlier_try_on_a_disabled_server_is_undone,
    ]
}

/// Places a meeting twice: the create on the first server failed. Returns the first request and
/// both placements.
async fn place_twice(store: &TestPoolStore) -> (PlaceRequest, MeetingOnServer, MeetingOnServer) {
    let request = place_request("m", &["11111", "22222"]);
    let first = store.place_new_meeting(request.clone()).await;
    let mut again =
        avoiding_servers(&["a"], place_request_at(NOW.plus_ms(700), "m", &["11111", "22222"]));
    again.pending_ends = vec![pending_end("a", "m")];
    let second = store.place_new_meeting(again).await;
    assert_eq!((first.server.id.0.as_str(), second.server.id.0.as_str()), ("a", "b"));
    (request, first, second)
}

async fn a_claim_moves_on(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b", "c"]).await;
    let (_, first, second) = place_twice(&store).await;
    assert_eq!(second.meeting.voice_bridge, first.meeting.voice_bridge, "its own number");
    assert_eq!(second.meeting.placed_at, NOW.plus_ms(700));
    let expected =
        [open_server("a", 0.0), with_placed(open_server("b", 65.0), 1), open_server("c", 100.0)];
    assert_eq!(store.list_servers().await, expected);
    assert_eq!(store.list_meetings().await, std::slice::from_ref(&second.meeting));
    assert_eq!(store.list_meetings_on("a").await, []);
    assert_eq!(store.list_pending_ends().await, [pending_end("a", "m")]);
    let other = store.place_meeting(with_token("another", place_request("m", &["3"]))).await;
    assert_eq!(other, PlaceOutcome::Existing(second.clone()));
    // A request that has tried no server may use the first one again.
    let third = store.place_new_meeting(place_request_at(NOW.plus_ms(900), "m", &["22222"])).await;
    assert_eq!(third.server, with_placed(open_server("a", 15.0), 1));
    let pending_ends = store.list_pending_ends().await;
    assert_eq!(pending_ends, [pending_end("a", "m")], "it is not confirmed there yet");
    assert!(store.is_bridge_free("11111").await);
    assert!(store.release_claim(&key("m"), "m").await);
    let empty = [open_server("a", 0.0), open_server("b", 50.0), open_server("c", 100.0)];
    assert_eq!(store.list_servers().await, empty);
}

async fn a_claim_stays_where_it_is_if_there_is_no_other_place(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let (_, _, second) = place_twice(&store).await;
    store.place_new_meeting(place_request("n", &["33333"])).await;
    let before = store.list_servers().await;
    let all = avoiding_servers(&["a", "b"], place_request("m", &["22222"]));
    assert_eq!(store.place_meeting(all).await, PlaceOutcome::Refused(PlacementRefusal::NoServer));
    let taken = avoiding_servers(&["b"], place_request("m", &["33333"]));
    assert_eq!(store.place_meeting(taken).await, PlaceOutcome::NoVoiceBridge);
    assert_eq!(find_meeting(&store, "m").await, second.meeting);
    assert_eq!(store.list_servers().await, before);
    // The claim remains even if it has expired, since no other request has replaced it.
    let late = place_request_at(NOW.plus_ms(3 * CLAIM_MS), "m", &["33333"]);
    assert_eq!(store.place_meeting(late).await, PlaceOutcome::NoVoiceBridge);
    assert_eq!(find_meeting(&store, "m").await, second.meeting);
}

async fn the_earlier_try_wins_after_all(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let (_, first, second) = place_twice(&store).await;
    assert_ne!(first.meeting.claim, second.meeting.claim, "it was renewed");
    let unwanted: [PendingEnd; 1] = [pending_end("b", "m")];
    let at = NOW.plus_ms(900);
    store.confirm_and_end(&first.meeting, at, &unwanted).await;
    let expected = Meeting { claim: None, seen_at: at, ..first.meeting };
    assert_eq!(store.list_meetings().await, std::slice::from_ref(&expected));
    assert_eq!(
        store.list_servers().await,
        [with_placed(open_server("a", 15.0), 1), open_server("b", 50.0)]
    );
    assert_eq!(
        store.list_pending_ends().await,
        unwanted,
        "that of the place where it is is settled"
    );
    assert!(!store.is_bridge_free("11111").await && store.is_bridge_free("22222").await);
    // The later try has no effect any more.
    assert!(!store.release_claim(&key("m"), "m").await);
    store.confirm_meeting(&second.meeting, at).await;
    assert_eq!(store.list_meetings().await, [expected]);
    assert_eq!(
        store.list_servers().await,
        [with_placed(open_server("a", 15.0), 1), open_server("b", 50.0)]
    );
}

async fn an_earlier_try_on_a_disabled_server_is_undone(factory: PoolFactory<'_>) {
    let store = store_with(factory, &["a", "b"]).await;
    let (_, first, _) = place_twice(&store).await;
    store.update_server("a", ServerChange::with_state(AdminState::Disabled)).await;
    store.confirm_meeting(&first.meeting, NOW.plus_ms(900)).await;
    assert_eq!(store.list_meetings().await, []);
    assert_eq!(store.find_server("b").await, Some(open_server("b", 50.0)));
    assert!(store.is_bridge_free("11111").await);
}
