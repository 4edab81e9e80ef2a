//! Servers and meetings for tests of shared stores.

use app::ports::PlaceRequest;
use domain::placement::Ask;
use domain::{AdminState, Claim, MeetingKey, Seats, Server, ServerId, Timestamp};

/// When everything happens, if nothing else is said.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A server that takes meetings.
pub(crate) fn open(id: &str) -> Server {
    let mut server = Server::new(ServerId(id.into()), "http://a/api".into(), "s".into());
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(0.0);
    server
}

/// A meeting of nobody's.
pub(crate) fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.into() }
}

/// Asks for a place for a meeting, with that voice bridge.
pub(crate) fn request(id: &str, token: usize, number: &str) -> PlaceRequest {
    PlaceRequest {
        key: key(id),
        ask: Ask { seats: 15, seed: 1, now: NOW, ..Ask::default() },
        voice_bridges: vec![number.to_owned()],
        moderator_pw: None,
        claim: Claim { token: token.to_string(), until: NOW.plus_ms(20_000) },
        seats: Seats { reserved: 15, reserved_until: NOW.plus_ms(900_000), users: 0 },
        now: NOW,
        endings: Vec::new(),
    }
}
