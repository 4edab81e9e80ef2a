//! Servers and meetings for tests of shared stores.

use app::ports::PlaceRequest;
use domain::placement::PlacementCriteria;
use domain::{AdminState, Claim, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};

/// When everything happens, if nothing else is said.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A server that takes meetings.
pub(crate) fn enabled_server(id: &str) -> Server {
    let mut server = Server::new(ServerId(id.into()), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

/// A meeting of nobody's.
pub(crate) fn meeting_key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.into() }
}

/// Asks for a place for a meeting, with that voice bridge.
pub(crate) fn place_request(id: &str, token: usize, number: &str) -> PlaceRequest {
    PlaceRequest {
        key: meeting_key(id),
        criteria: PlacementCriteria {
            expected_users: 15,
            seed: 1,
            now: NOW,
            ..PlacementCriteria::default()
        },
        voice_bridges: vec![number.to_owned()],
        moderator_pw: None,
        claim: Claim { token: token.to_string(), until: NOW.plus_ms(20_000) },
        load: MeetingLoad { expected_users: 15, expected_until: NOW.plus_ms(900_000), users: 0 },
        now: NOW,
        pending_ends: Vec::new(),
    }
}
