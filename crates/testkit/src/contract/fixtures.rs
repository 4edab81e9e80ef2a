//! Servers, meetings, requests and polls for the cases of the contract.

use app::ports::PlaceRequest;
use domain::health::Thresholds;
use domain::load::LoadPolicy;
use domain::placement::{PlacementCriteria, meeting_seed};
use domain::poll::{
    OwnershipHint, PendingEnd, PollObservation, PollPolicy, ReportedMeeting, UnreadableMeetings,
};
use domain::{AdminState, Claim, Meeting, MeetingKey, MeetingLoad, Server, ServerId, Timestamp};

/// The time of everything that a case does, unless it says otherwise.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// How long the claims of [`place_request`] are valid, in ms.
pub(super) const CLAIM_MS: i64 = 20_000;
/// The expected users of [`place_request`].
pub(super) const EXPECTED_USERS: u32 = 15;
/// A policy with which one failed poll does not make a server offline, and new meetings count
/// [`EXPECTED_USERS`].
pub(super) const POLICY: PollPolicy = PollPolicy {
    thresholds: Thresholds { healthy: 1, unhealthy: 2 },
    load: LoadPolicy { min_user_count: EXPECTED_USERS, join_buffer_ms: 900_000 },
    grace_ms: GRACE_MS,
    max_adoptions: 1_000,
};
/// The grace time of new meetings in [`POLICY`], in ms.
pub(super) const GRACE_MS: i64 = 1000;

pub(super) fn sort_meetings(mut meetings: Vec<Meeting>) -> Vec<Meeting> {
    meetings.sort_by(|first, second| first.key.cmp(&second.key));
    meetings
}

pub(super) fn server_id(id: &str) -> ServerId {
    ServerId(id.to_owned())
}

/// The key of a meeting that belongs to no tenant.
pub(super) fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: None, id: id.to_owned() }
}

/// A server that takes meetings.
pub(super) fn open_server(id: &str, load: f64) -> Server {
    let url = format!("https://{id}.example.test/bigbluebutton/api");
    let mut server = Server::new(server_id(id), url, format!("secret of {id}"));
    server.state = AdminState::Enabled;
    server.health.online = true;
    server.load = Some(load);
    server
}

/// The server with this number of meetings placed since its last poll.
pub(super) fn with_placed(mut server: Server, placed: u32) -> Server {
    server.placed_since_poll = placed;
    server
}

/// A server that takes meetings, with a load multiplier.
pub(super) fn weighted_server(id: &str, load: f64, multiplier: f64) -> Server {
    let mut server = open_server(id, load);
    server.load_multiplier = multiplier;
    server
}

/// A request for a place. The token of the claim is the meeting's id.
pub(super) fn place_request(id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    PlaceRequest {
        key: key(id),
        criteria: PlacementCriteria {
            expected_users: EXPECTED_USERS,
            seed: meeting_seed(id),
            now: NOW,
            ..PlacementCriteria::default()
        },
        voice_bridges: voice_bridges.iter().map(ToString::to_string).collect(),
        moderator_pw: Some(format!("password of {id}")),
        claim: Claim { token: id.to_owned(), until: NOW.plus_ms(CLAIM_MS) },
        load: POLICY.load.meeting_load(NOW, EXPECTED_USERS, 0),
        now: NOW,
        pending_ends: Vec::new(),
        replaces: None,
    }
}

/// A request for a place at another time.
pub(super) fn place_request_at(now: Timestamp, id: &str, voice_bridges: &[&str]) -> PlaceRequest {
    let mut request = place_request(id, voice_bridges);
    request.claim.until = now.plus_ms(CLAIM_MS);
    request.load = POLICY.load.meeting_load(now, EXPECTED_USERS, 0);
    (request.now, request.criteria.now) = (now, now);
    request
}

/// The request with another token for its claim.
pub(super) fn with_token(token: &str, mut request: PlaceRequest) -> PlaceRequest {
    token.clone_into(&mut request.claim.token);
    request
}

/// The request after tries on these servers.
pub(super) fn avoiding_servers(servers: &[&str], mut request: PlaceRequest) -> PlaceRequest {
    request.criteria.tried_servers = servers.iter().map(|id| server_id(id)).collect();
    request
}

/// The meeting that a request creates on a server, without the reason for the placement.
pub(super) fn expected_meeting(request: &PlaceRequest, server: &str, bridge: &str) -> Meeting {
    Meeting {
        key: request.key.clone(),
        server: server_id(server),
        moderator_pw: request.moderator_pw.clone(),
        voice_bridge: Some(bridge.to_owned()),
        claim: Some(request.claim.clone()),
        placed_at: request.now,
        seen_at: request.now,
        load: MeetingLoad { ..request.load },
        ..Meeting::default()
    }
}

/// A poll that started 50 ms before its response.
pub(super) fn successful_poll(
    finished_at: Timestamp,
    meetings: Vec<ReportedMeeting>,
) -> PollObservation {
    PollObservation {
        started_at: finished_at.plus_ms(-50),
        finished_at,
        known_answer: Timestamp::default(),
        result: Ok(meetings),
        unreadable: UnreadableMeetings::default(),
    }
}

/// A poll without a response.
pub(super) fn failed_poll(finished_at: Timestamp) -> PollObservation {
    PollObservation {
        result: Err("no answer within 1.5 s – «timeout»".to_owned()),
        ..successful_poll(finished_at, Vec::new())
    }
}

/// A meeting as its server reports it.
pub(super) fn reported_meeting(id: &str, created_at: Timestamp, users: u32) -> ReportedMeeting {
    ReportedMeeting {
        id: id.to_owned(),
        created_at,
        users,
        videos: 1,
        ..ReportedMeeting::default()
    }
}

/// A meeting as its server reports it, looking like one that this pool's balancer created.
pub(super) fn own_meeting(id: &str, created_at: Timestamp, users: u32) -> ReportedMeeting {
    ReportedMeeting { ownership: OwnershipHint::Ours, ..reported_meeting(id, created_at, users) }
}

/// A meeting that must be ended on a server.
pub(super) fn pending_end(server: &str, id: &str) -> PendingEnd {
    let moderator_pw = Some(format!("password of {id}"));
    let (server, key, asked_at) = (server_id(server), key(id), Timestamp::default());
    let internal_id = None;
    PendingEnd { server, key, internal_id, moderator_pw, since: NOW, create_sent_at: asked_at }
}
