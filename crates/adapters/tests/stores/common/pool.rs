//! Servers and meetings for tests of shared stores.

use app::ports::{PlaceOutcome, PlaceRequest, PoolStore};
use domain::placement::PlacementCriteria;
use domain::{AdminState, Claim, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};
use futures_util::future::join_all;

/// The time of all operations that need no other.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Returns a server that takes meetings.
pub(crate) fn enabled_server(id: &str) -> Server {
    let mut server = Server::new(ServerId(id.into()), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

/// Returns the key of a meeting without a tenant.
pub(crate) fn meeting_key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.into() }
}

/// Returns a request to place a meeting with this voice bridge.
pub(crate) fn place_request(id: &str, token: usize, voice_bridge: &str) -> PlaceRequest {
    PlaceRequest {
        key: meeting_key(id),
        criteria: PlacementCriteria {
            expected_users: 15,
            seed: 1,
            now: NOW,
            ..PlacementCriteria::default()
        },
        voice_bridges: vec![voice_bridge.to_owned()],
        moderator_pw: None,
        claim: Claim { token: token.to_string(), until: NOW.plus_ms(20_000) },
        load: MeetingLoad { expected_users: 15, expected_until: NOW.plus_ms(900_000), users: 0 },
        now: NOW,
        pending_ends: Vec::new(),
        replaces: None,
    }
}

/// Checks that three replicas that place 100 meetings at the same time, each of them three times,
/// place each meeting once, and as many on each of five servers.
pub(crate) async fn check_even_placement(replicas: [&dyn PoolStore; 3]) {
    for id in ["a", "b", "c", "d", "e"] {
        assert!(replicas[0].add_server(enabled_server(id)).await.expect("an added server"));
    }
    let calls = (0..300).map(|n| {
        let request = place_request(&format!("m{}", n / 3), n, &(20_000 + n).to_string());
        replicas[n % 3].place_meeting(request)
    });
    let outcomes = join_all(calls).await.into_iter().map(|outcome| outcome.expect("an outcome"));
    let (mut claimed, mut existing) = (0, 0);
    for outcome in outcomes {
        match outcome {
            PlaceOutcome::Claimed(_) => claimed += 1,
            PlaceOutcome::Existing(_) => existing += 1,
            other => unreachable!("there are servers and voice bridges: {other:?}"),
        }
    }
    assert_eq!((claimed, existing), (100, 200));
    let meetings = replicas[1].list_meetings(None).await.expect("meetings");
    assert_eq!(meetings.len(), 100);
    for server in replicas[2].list_servers().await.expect("servers") {
        let count = meetings.iter().filter(|meeting| meeting.server == server.id).count();
        assert_eq!((count, server.load), (20, Some(300.0)), "{}", server.id);
    }
}
