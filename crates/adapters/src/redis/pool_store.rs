//! The port [`PoolStore`]: servers and meetings. The reference implementation is `app::memory`.

use app::ports::kept_creates::{LARGE_CREATE_BYTES, MAX_LARGE_CREATES_BYTES};
use app::ports::{
    KeptCreate, MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, ServerChange,
    StoreError,
};
use async_trait::async_trait;
use domain::confirmation::{self, ConfirmationEffect::KeepRecord};
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{Meeting, MeetingKey, MeetingOrigin, Server, ServerId, Timestamp};
use redis::Value;
use serde_json::json;
use tokio::time::Instant;

use super::join::tenant_or_empty;
use super::rows::{self, is_one};
use super::script::{
    ADD_SERVER, ADOPT_MEETINGS, CHECK_STORE, CLAIM_STORE_ID, CONFIRM_MEETING, FIND_BY_VOICE_BRIDGE,
    FIND_SERVER, FORGET_MEETING, FORGET_OLD_PENDING_ENDS, FORGET_REMOVED_SERVERS,
    FORGET_SERVER_MEETINGS, FORGET_UNSEEN, FREE_UNUSED_BRIDGES, LIST_MEETINGS, LIST_PENDING_ENDS,
    LIST_SERVER_MEETINGS, LIST_SERVERS, NO_ARGUMENTS, RECORD_VERSION, RELEASE_CLAIM, REMOVE_SERVER,
    RESTORE_MEETING, RESTORE_SERVERS, UPDATE_SERVER,
};
use super::{ADOPT_INTERVAL, PAGE_SIZE, RedisStore, records, servers, sort_servers};

impl RedisStore {
    pub(super) async fn load_servers(&self) -> Result<Vec<Server>, StoreError> {
        let found = self.call_script(&LIST_SERVERS, &NO_ARGUMENTS).await?;
        let Some([list, revision]) = rows::to_array::<2>(found)? else {
            return Ok(Vec::new());
        };
        let list = rows::to_list(list).into_iter().map(rows::read_server);
        let servers = sort_servers(list.filter_map(Result::transpose).collect::<Result<_, _>>()?);
        self.cache_servers(&servers, rows::to_text(&revision)?.unwrap_or_default());
        Ok(servers)
    }

    /// Adds meetings that the original has created to our lists of meetings by server, which it
    /// does not write.
    async fn adopt_meetings(&self) -> Result<(), StoreError> {
        for names in self.list_members("SMEMBERS", "meetings").await?.chunks(PAGE_SIZE) {
            self.call_script(&ADOPT_MEETINGS, names).await?;
        }
        Ok(())
    }

    /// Adopts meetings of the original, unless that was done within [`ADOPT_INTERVAL`].
    pub(super) async fn adopt_if_due(&self) -> Result<(), StoreError> {
        // One call does it while the others wait for it.
        let mut last = self.last_adoption.lock().await;
        if last.is_none_or(|last| last.elapsed() >= ADOPT_INTERVAL) {
            self.adopt_meetings().await?;
            *last = Some(Instant::now());
        }
        Ok(())
    }

    /// Lists the names under which meetings are stored, detached or not.
    async fn list_meeting_names(&self) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd("SUNION");
        let prefix = &self.client.prefix;
        command.arg(format!("{prefix}meetings")).arg(format!("{prefix}own:detached"));
        self.query_texts(&command).await
    }

    async fn remove_leftovers(&self, unseen_since: Timestamp) -> Result<(), StoreError> {
        for bridges in self.list_members("HKEYS", "voice_bridges").await?.chunks(PAGE_SIZE) {
            self.call_script(&FREE_UNUSED_BRIDGES, bridges).await?;
        }
        self.call_script(&FORGET_REMOVED_SERVERS, &NO_ARGUMENTS).await?;
        self.call_script(&FORGET_OLD_PENDING_ENDS, &[unseen_since.0.to_string()]).await.map(drop)
    }
}

#[async_trait]
impl PoolStore for RedisStore {
    async fn check_store(&self) -> Result<(), StoreError> {
        self.call_script(&CHECK_STORE, &NO_ARGUMENTS).await.map(drop)
    }

    async fn list_servers(&self) -> Result<Vec<Server>, StoreError> {
        self.load_servers().await
    }

    async fn find_server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        let row = rows::read_server(self.call_script(&FIND_SERVER, &[&id.0]).await?)?;
        Ok(row.map(|row| row.server))
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        let new = servers::new_server_json(&server).to_string();
        Ok(is_one(&self.call_script(&ADD_SERVER, &[new]).await?))
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let change = servers::server_change_json(&change).to_string();
        let row = rows::read_server(self.call_script(&UPDATE_SERVER, &[&id.0, &change]).await?)?;
        Ok(row.map(|row| row.server))
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        self.adopt_meetings().await?;
        match self.call_script(&REMOVE_SERVER, &[&id.0]).await? {
            Value::Nil => Ok(None),
            found => rows::read_meetings(found).map(Some),
        }
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        self.call_script(&RECORD_VERSION, &[id.0.as_str(), version]).await.map(drop)
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &ServerFailure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        self.commit_failure(id, failure, thresholds).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &PollObservation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        self.commit_poll(id, observation, policy, cycle).await
    }

    async fn find_meeting(&self, key: &MeetingKey) -> Result<Option<MeetingOnServer>, StoreError> {
        self.flush_joins().await;
        self.load_meeting(key).await
    }

    async fn find_by_voice_bridge(
        &self,
        number: &str,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.flush_joins().await;
        let found = self.call_script(&FIND_BY_VOICE_BRIDGE, &[number]).await?;
        match rows::to_array::<2>(found)? {
            Some([meeting, server]) => rows::read_meeting_on_server(meeting, server),
            None => Ok(None),
        }
    }

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        if let Some(id) = server {
            self.adopt_meetings().await?;
            return rows::read_meetings(self.call_script(&LIST_SERVER_MEETINGS, &[&id.0]).await?);
        }
        let mut meetings = Vec::new();
        for names in self.list_meeting_names().await?.chunks(PAGE_SIZE) {
            meetings.extend(rows::read_meetings(self.call_script(&LIST_MEETINGS, names).await?)?);
        }
        meetings.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(meetings)
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        self.place_in_turn(request).await
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        pending_ends: &[PendingEnd],
        kept: Option<&KeptCreate>,
    ) -> Result<(), StoreError> {
        let confirmed = Meeting { seen_at: now, ..meeting.clone() };
        let mut request = json!({
            "meeting": records::meeting_json(&confirmed, &records::own_pairs(&confirmed)),
            "now": now.0.to_string(),
            "pending_ends": records::pending_ends_json(pending_ends),
            "origin": records::origin_pairs(&meeting.origin),
        });
        // Stored if the record of another request stays, and the script finds the origin proven.
        let origin = MeetingOrigin::proven(meeting.origin.identity.clone());
        let proven = Meeting { origin, ..meeting.clone() };
        let copy = confirmation::pending_end_of_copy(KeepRecord, &proven, now);
        request["copy"] = records::pending_ends_json(copy.as_slice());
        set_text(&mut request, "bridge", meeting.voice_bridge.as_deref());
        if let Some(kept) = kept {
            request["kept"] = json!({ "internal_id": kept.internal_id, "sealed": kept.sealed });
            request["large"] = LARGE_CREATE_BYTES.into();
            request["max_large"] = MAX_LARGE_CREATES_BYTES.into();
        }
        set_text(&mut request, "token", meeting.claim.as_ref().map(|claim| claim.token.as_str()));
        self.call_script(&CONFIRM_MEETING, &[request.to_string()]).await.map(drop)
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        pending_ends: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let pending_ends = records::pending_ends_json(pending_ends).to_string();
        let arguments = [tenant_or_empty(key), &key.id, token, &pending_ends];
        Ok(is_one(&self.call_script(&RELEASE_CLAIM, &arguments).await?))
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        pending_end: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let pending_ends = pending_end.map_or(&[][..], std::slice::from_ref);
        let pending_ends = records::pending_ends_json(pending_ends).to_string();
        let seen_at = seen_at.map(|at| at.0.to_string()).unwrap_or_default();
        let arguments = [tenant_or_empty(key), &key.id, &server.0, &pending_ends, &seen_at];
        Ok(is_one(&self.call_script(&FORGET_MEETING, &arguments).await?))
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        let mut pending_ends = Vec::new();
        for row in rows::to_list(self.call_script(&LIST_PENDING_ENDS, &NO_ARGUMENTS).await?) {
            let Some([id, texts]) = rows::to_array::<2>(row)? else { continue };
            let id = ServerId(rows::to_text(&id)?.unwrap_or_default());
            for text in rows::to_texts(texts)? {
                pending_ends.push(records::read_pending_end(&id, &text)?);
            }
        }
        pending_ends.sort_by(|a, b| (&a.server, &a.key).cmp(&(&b.server, &b.key)));
        Ok(pending_ends)
    }

    async fn forget_server_meetings(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.adopt_meetings().await?;
        rows::read_meetings(self.call_script(&FORGET_SERVER_MEETINGS, &[&server.0]).await?)
    }

    async fn record_join(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        self.join_meeting(key, now).await
    }

    async fn restore_meeting(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let mut own = records::own_pairs(meeting);
        own.extend(records::claim_pairs(meeting));
        let mut request = json!({ "meeting": records::meeting_json(meeting, &own) });
        request["detached"] = meeting.detached.into();
        set_text(&mut request, "bridge", meeting.voice_bridge.as_deref());
        Ok(is_one(&self.call_script(&RESTORE_MEETING, &[request.to_string()]).await?))
    }

    async fn claim_store_id(&self, new_id: &str) -> Result<String, StoreError> {
        let id = rows::to_text(&self.client.call_script(&CLAIM_STORE_ID, &[new_id]).await?)?;
        id.ok_or_else(|| rows::corrupt_error("no store id"))
    }

    async fn restore_servers(&self, lost_id: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let new: Vec<_> = servers.iter().map(servers::new_server_json).collect();
        let new = serde_json::Value::from(new).to_string();
        Ok(is_one(&self.call_script(&RESTORE_SERVERS, &[lost_id, &new]).await?))
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut forgotten = Vec::new();
        for names in self.list_meeting_names().await?.chunks(PAGE_SIZE) {
            let mut arguments = vec![unseen_since.0.to_string()];
            arguments.extend_from_slice(names);
            forgotten
                .extend(rows::read_meetings(self.call_script(&FORGET_UNSEEN, &arguments).await?)?);
        }
        self.remove_leftovers(unseen_since).await?;
        forgotten.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(forgotten)
    }
}

/// Sets a member of a JSON object, unless there is no value.
fn set_text(object: &mut serde_json::Value, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object[name] = text.into();
    }
}
