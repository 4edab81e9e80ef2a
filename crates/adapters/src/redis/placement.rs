//! Placing meetings: read a snapshot, choose a server for each, and claim the meetings there unless the
//! snapshot is outdated.

use std::sync::atomic::Ordering;

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, StoreError};
use domain::placement::{PlacementCriteria, PlacementRefusal, choose_server};
use domain::{AdminState, Server, ServerId, load};
use redis::Value;
use serde_json::json;

use super::join::tenant_or_empty;
use super::placement_queue::PlaceAttempt;
use super::rows::{self, HashFields};
use super::script::{PLACE_MEETINGS, READ_PLACEMENT_SNAPSHOT};
use super::{RedisStore, busy_error, records};

/// What is needed to place meetings: all servers, the loads of those that take meetings as Redis writes them, and what there is of
/// each meeting.
struct PlacementSnapshot {
    servers: Vec<Server>,
    loads: HashFields,
    meetings: Vec<Result<MeetingSnapshot, StoreError>>,
}

/// What there is of a meeting.
enum MeetingSnapshot {
    /// It is recorded and cannot be replaced.
    Known(Box<MeetingOnServer>),
    /// The request replaces a record, and none is there.
    NothingToReplace,
    /// It can be placed, but not on the servers that have another tenant's meeting of this id.
    Placeable(Vec<ServerId>),
}

/// A meeting for which a server was chosen.
struct ChosenPlace<'a> {
    /// The position of the request.
    position: usize,
    request: &'a PlaceRequest,
    server: Server,
    reason: String,
    attempt: u64,
}

impl RedisStore {
    async fn read_snapshot(
        &self,
        requests: &[&PlaceRequest],
    ) -> Result<PlacementSnapshot, StoreError> {
        let wanted = requests.iter().map(|request| {
            let replaces = request.replaces.as_ref();
            json!({
                "tenant": tenant_or_empty(&request.key),
                "id": request.key.id,
                "now": request.now.0.to_string(),
                "token": request.claim.token,
                "replaces": replaces.map_or("", |replaced| replaced.internal_id.as_str()),
            })
        });
        let wanted: serde_json::Value = wanted.collect();
        let found = self.call_script(&READ_PLACEMENT_SNAPSHOT, &[wanted.to_string()]).await?;
        let Some([meetings, loads, placed, revision]) = rows::to_array::<4>(found)? else {
            return Err(rows::corrupt_error("a snapshot of the wrong length"));
        };
        let revision = rows::to_text(&revision)?.unwrap_or_default();
        let (servers, loads) =
            self.load_open_servers(loads, rows::to_texts(placed)?, &revision).await?;
        let meetings = rows::to_list(meetings).into_iter().map(read_meeting_snapshot).collect();
        Ok(PlacementSnapshot { servers, loads, meetings })
    }

    /// Returns the servers of this revision with these loads and counts of placed meetings, and the
    /// loads by server.
    async fn load_open_servers(
        &self,
        loads: Value,
        placed: Vec<String>,
        revision: &str,
    ) -> Result<(Vec<Server>, HashFields), StoreError> {
        let flat = rows::to_texts(loads)?;
        let ids = flat.iter().step_by(2).cloned();
        let placed: HashFields = ids.zip(placed).collect();
        let loads: HashFields =
            flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let mut servers = match self.find_cached_servers(revision) {
            Some(servers) => servers,
            None => self.load_servers().await?,
        };
        let is_listed = |server: &&Server| {
            let takes_meetings = server.is_online() && server.state == AdminState::Enabled;
            takes_meetings && loads.contains_key(&server.id.0)
        };
        // The original may have added or enabled a server since they were cached.
        if servers.iter().filter(is_listed).count() < loads.len() {
            servers = self.load_servers().await?;
        }
        for server in &mut servers {
            let count = placed.get(&server.id.0).and_then(|count| count.parse().ok());
            server.load = loads.get(&server.id.0).and_then(|load| load.parse().ok());
            server.placed_since_poll = count.unwrap_or(server.placed_since_poll);
        }
        Ok((servers, loads))
    }

    /// Tries once to place meetings.
    pub(super) async fn try_to_place(
        &self,
        requests: &[&PlaceRequest],
    ) -> Result<Vec<PlaceAttempt>, StoreError> {
        let PlacementSnapshot { mut servers, loads, meetings } =
            self.read_snapshot(requests).await?;
        let read = servers.clone();
        let mut attempts = Vec::with_capacity(requests.len());
        let mut places: Vec<ChosenPlace<'_>> = Vec::new();
        for (position, (request, meeting)) in requests.iter().zip(meetings).enumerate() {
            let attempt = match meeting {
                Err(error) => Err(error),
                Ok(MeetingSnapshot::Known(known)) => Ok(Some(PlaceOutcome::Existing(*known))),
                Ok(MeetingSnapshot::NothingToReplace) => Ok(Some(PlaceOutcome::NothingToReplace)),
                // The first of them decides; a second place would seem taken to the meetings that follow.
                Ok(MeetingSnapshot::Placeable(_))
                    if places.iter().any(|place| place.request.key == request.key) =>
                {
                    Ok(None)
                }
                Ok(MeetingSnapshot::Placeable(others)) => {
                    match self.choose_place(position, request, &mut servers, others) {
                        Ok(place) => {
                            places.push(place);
                            Ok(None)
                        }
                        Err(refusal) => Ok(Some(PlaceOutcome::Refused(refusal))),
                    }
                }
            };
            attempts.push(attempt);
        }
        if places.is_empty() {
            return Ok(attempts);
        }
        let request = places_json(&places, &read, &loads);
        let replies = self.call_script(&PLACE_MEETINGS, &[request.to_string()]).await?;
        for (place, reply) in places.into_iter().zip(rows::to_list(replies)) {
            let position = place.position;
            attempts[position] = read_place_reply(place, reply);
        }
        Ok(attempts)
    }

    /// Chooses a server, and adds the meeting to its load for the choices that follow.
    fn choose_place<'a>(
        &self,
        position: usize,
        request: &'a PlaceRequest,
        servers: &mut [Server],
        others: Vec<ServerId>,
    ) -> Result<ChosenPlace<'a>, PlacementRefusal> {
        let criteria = PlacementCriteria { same_id_servers: others, ..request.criteria.clone() };
        let (id, reason) = match choose_server(servers, &criteria) {
            Ok(choice) => (choice.server.id.clone(), choice.reason),
            Err(refusal) => return Err(refusal),
        };
        let chosen = servers.iter_mut().find(|server| server.id == id);
        let Some(server) = chosen else { return Err(PlacementRefusal::NoServer) };
        let place = ChosenPlace {
            position,
            request,
            server: server.clone(),
            reason,
            attempt: self.attempts.fetch_add(1, Ordering::Relaxed),
        };
        let users = u64::from(request.load.counted_users(request.now));
        let added = load::compute_load(users, server.load_multiplier);
        server.load = server.load.map(|load| load + added);
        server.placed_since_poll = server.placed_since_poll.saturating_add(1);
        Ok(place)
    }
}

/// Reads what there is of a meeting.
fn read_meeting_snapshot(found: Value) -> Result<MeetingSnapshot, StoreError> {
    let mut found = rows::to_list(found).into_iter();
    let kind = found.next().map(|kind| rows::to_text(&kind)).transpose()?.flatten();
    match (kind.as_deref(), found.next(), found.next()) {
        (Some("known"), Some(meeting), Some(server)) => {
            let known = rows::read_meeting_on_server(meeting, server)?;
            known.map(|known| MeetingSnapshot::Known(Box::new(known))).ok_or_else(busy_error)
        }
        (Some("nothing"), ..) => Ok(MeetingSnapshot::NothingToReplace),
        (Some("placeable"), Some(others), None) => {
            let others = rows::to_texts(others)?.into_iter().map(ServerId).collect();
            Ok(MeetingSnapshot::Placeable(others))
        }
        _ => Err(rows::corrupt_error("an unknown kind of snapshot")),
    }
}

/// Reads whether a meeting was placed; `None` if another process was faster.
fn read_place_reply(place: ChosenPlace<'_>, reply: Value) -> PlaceAttempt {
    let reply = rows::to_list(reply);
    let [kind, rest @ ..] = &reply[..] else { return Ok(None) };
    match (rows::to_text(kind)?.as_deref(), rest) {
        (Some("won"), [bridge, load, placed]) => {
            let bridge = rows::to_text(bridge)?.unwrap_or_default();
            let load = rows::to_text(load)?.and_then(|load| load.parse().ok());
            let placed = rows::to_text(placed)?.and_then(|count| count.parse().ok()).unwrap_or(0);
            let ChosenPlace { request, server, reason, .. } = place;
            let meeting = request.clone().into_meeting(server.id.clone(), bridge, reason);
            let server = Server { load, placed_since_poll: placed, ..server };
            Ok(Some(PlaceOutcome::Claimed(MeetingOnServer { meeting, server })))
        }
        (Some("no bridge"), _) => Ok(Some(PlaceOutcome::NoVoiceBridge)),
        _ => Ok(None),
    }
}

/// The chosen servers as they were read, and the claims.
fn places_json(
    places: &[ChosenPlace<'_>],
    read: &[Server],
    loads: &HashFields,
) -> serde_json::Value {
    let is_chosen = |server: &&Server| places.iter().any(|place| place.server.id == server.id);
    let servers = read.iter().filter(is_chosen).map(|server| {
        json!({
            "id": server.id.0,
            "load": loads.get(&server.id.0).map_or("", String::as_str),
            "placed_since_poll": server.placed_since_poll.to_string(),
        })
    });
    json!({
        "servers": servers.collect::<serde_json::Value>(),
        "claims": places.iter().map(claim_json).collect::<serde_json::Value>(),
    })
}

fn claim_json(place: &ChosenPlace<'_>) -> serde_json::Value {
    let ChosenPlace { request, server, reason, .. } = place;
    let request: &PlaceRequest = request;
    let meeting = request.clone().into_meeting(server.id.clone(), String::new(), reason.clone());
    let attempt = place.attempt.to_string();
    let mut own = records::own_pairs(&meeting);
    own.extend(records::claim_pairs(&meeting));
    own.extend(["attempt".to_owned(), attempt.clone()]);
    json!({
        "meeting": records::meeting_json(&meeting, &own),
        "token": request.claim.token,
        "attempt": attempt,
        "now": request.now.0.to_string(),
        "replaces": request.replaces.as_ref().map_or("", |replaced| &replaced.internal_id),
        "bridges": request.voice_bridges,
        "pending_ends": records::pending_ends_json(&request.pending_ends),
    })
}
