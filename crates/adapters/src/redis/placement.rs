//! Placing a meeting: read a snapshot, choose a server, and claim the meeting there unless the
//! snapshot is outdated.

use std::sync::atomic::Ordering;

use app::ports::{MeetingOnServer, PlaceOutcome, PlaceRequest, StoreError};
use domain::placement::{PlacementCriteria, choose_server};
use domain::{AdminState, Server, ServerId};
use serde_json::{Value, json};

use super::join::tenant_or_empty;
use super::rows::{self, HashFields};
use super::script::{PLACE_MEETING, READ_PLACEMENT_SNAPSHOT};
use super::{MAX_TRIES, RedisStore, busy_error, records};

/// What is needed to place a meeting.
enum PlacementSnapshot {
    /// The meeting is recorded and cannot be replaced.
    Known(Box<MeetingOnServer>),
    /// The request replaces a record, and none is there.
    NothingToReplace,
    /// The meeting can be placed: all servers, the loads of those that take meetings as Redis
    /// writes them, and the servers that have another tenant's meeting of this id.
    Placeable(Vec<Server>, HashFields, Vec<ServerId>),
}

impl RedisStore {
    async fn read_snapshot(&self, request: &PlaceRequest) -> Result<PlacementSnapshot, StoreError> {
        let (now, token) = (request.now.0.to_string(), &request.claim.token);
        let replaces =
            request.replaces.as_ref().map_or("", |replaced| replaced.internal_id.as_str());
        let found = self
            .call_script(
                &READ_PLACEMENT_SNAPSHOT,
                &[tenant_or_empty(&request.key), &request.key.id, &now, token, replaces],
            )
            .await?;
        let mut found = rows::to_list(found);
        let kind = if found.is_empty() { None } else { rows::to_text(&found.remove(0))? };
        match (kind.as_deref(), <[_; 2]>::try_from(found)) {
            (Some("known"), Ok([meeting, server])) => {
                let known = rows::read_meeting_on_server(meeting, server)?;
                known.map(|known| PlacementSnapshot::Known(Box::new(known))).ok_or_else(busy_error)
            }
            (Some("nothing"), _) => Ok(PlacementSnapshot::NothingToReplace),
            (Some("placeable"), Err(rest)) => match <[_; 4]>::try_from(rest) {
                Ok([loads, placed, revision, others]) => {
                    let revision = rows::to_text(&revision)?.unwrap_or_default();
                    let (servers, loads) =
                        self.load_open_servers(loads, rows::to_texts(placed)?, &revision).await?;
                    let others = rows::to_texts(others)?.into_iter().map(ServerId).collect();
                    Ok(PlacementSnapshot::Placeable(servers, loads, others))
                }
                Err(_) => Err(rows::corrupt_error("a snapshot of the wrong length")),
            },
            _ => Err(rows::corrupt_error("an unknown kind of snapshot")),
        }
    }

    /// Returns the servers of this revision with these loads and counts of placed meetings, and the
    /// loads by server.
    async fn load_open_servers(
        &self,
        loads: redis::Value,
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

    /// Tries once to place a meeting; returns `None` if another process was faster.
    async fn try_to_place(
        &self,
        request: &PlaceRequest,
    ) -> Result<Option<PlaceOutcome>, StoreError> {
        let (servers, loads, others) = match self.read_snapshot(request).await? {
            PlacementSnapshot::Known(known) => return Ok(Some(PlaceOutcome::Existing(*known))),
            PlacementSnapshot::NothingToReplace => return Ok(Some(PlaceOutcome::NothingToReplace)),
            PlacementSnapshot::Placeable(servers, loads, others) => (servers, loads, others),
        };
        let criteria = PlacementCriteria { same_id_servers: others, ..request.criteria.clone() };
        let (server, reason) = match choose_server(&servers, &criteria) {
            Ok(choice) => (choice.server.clone(), choice.reason),
            Err(refusal) => return Ok(Some(PlaceOutcome::Refused(refusal))),
        };
        let load = loads.get(&server.id.0).map_or("", String::as_str);
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let claim = claim_json(request, &server, &reason, load, attempt);
        let [kind, rest @ ..] =
            &rows::to_list(self.call_script(&PLACE_MEETING, &[claim.to_string()]).await?)[..]
        else {
            return Ok(None);
        };
        match (rows::to_text(kind)?.as_deref(), rest) {
            (Some("won"), [bridge, load, placed]) => {
                let bridge = rows::to_text(bridge)?.unwrap_or_default();
                let load = rows::to_text(load)?.and_then(|load| load.parse().ok());
                let placed =
                    rows::to_text(placed)?.and_then(|count| count.parse().ok()).unwrap_or(0);
                let meeting = request.clone().into_meeting(server.id.clone(), bridge, reason);
                let server = Server { load, placed_since_poll: placed, ..server };
                Ok(Some(PlaceOutcome::Claimed(MeetingOnServer { meeting, server })))
            }
            (Some("no bridge"), _) => Ok(Some(PlaceOutcome::NoVoiceBridge)),
            _ => Ok(None),
        }
    }

    /// Tries to place a meeting until no other process is faster.
    pub(super) async fn place_with_retries(
        &self,
        request: &PlaceRequest,
    ) -> Result<PlaceOutcome, StoreError> {
        if let Some(placed) = self.try_to_place(request).await? {
            return Ok(placed);
        }
        let _guard = self.placement_lock.lock().await;
        for _ in 0..MAX_TRIES {
            if let Some(placed) = self.try_to_place(request).await? {
                return Ok(placed);
            }
        }
        Err(busy_error())
    }
}

fn claim_json(
    request: &PlaceRequest,
    server: &Server,
    reason: &str,
    load: &str,
    attempt: u64,
) -> Value {
    let meeting = request.clone().into_meeting(server.id.clone(), String::new(), reason.to_owned());
    let attempt = attempt.to_string();
    let mut own = records::own_pairs(&meeting);
    own.extend(records::claim_pairs(&meeting));
    own.extend(["attempt".to_owned(), attempt.clone()]);
    json!({
        "meeting": records::meeting_json(&meeting, &own),
        "load": load,
        "placed_since_poll": server.placed_since_poll.to_string(),
        "token": request.claim.token,
        "attempt": attempt,
        "now": request.now.0.to_string(),
        "replaces": request.replaces.as_ref().map_or("", |replaced| &replaced.internal_id),
        "bridges": request.voice_bridges,
        "pending_ends": records::pending_ends_json(&request.pending_ends),
    })
}
