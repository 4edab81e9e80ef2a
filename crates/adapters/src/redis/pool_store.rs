//! Servers and meetings in Redis. What each method means is said by the port and shown by its
//! reference implementation in memory.

use app::ports::{
    MeetingOnServer, PlaceOutcome, PlaceRequest, PollReport, PoolStore, ServerChange, StoreError,
};
use async_trait::async_trait;
use domain::health::{ServerFailure, Thresholds};
use domain::poll::{PendingEnd, PollObservation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};
use redis::Value;
use serde_json::json;
use tokio::time::Instant;

use super::join::tenant_or_empty;
use super::rows::{self, is_one};
use super::script::{
    ADD_SERVER, ADOPT_MEETINGS, CHECK_STORE, CLAIM_STORE_ID, CONFIRM_MEETING, FIND_SERVER,
    FORGET_MEETING, FORGET_OLD_PENDING_ENDS, FORGET_REMOVED_SERVERS, FORGET_SERVER_MEETINGS,
    FORGET_UNSEEN, FREE_UNUSED_BRIDGES, LIST_MEETINGS, LIST_PENDING_ENDS, LIST_SERVER_MEETINGS,
    LIST_SERVERS, NO_ARGUMENTS, RECORD_VERSION, RELEASE_CLAIM, REMOVE_SERVER, RESTORE_MEETING,
    RESTORE_SERVERS, UPDATE_SERVER,
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

    /// Lists meetings that the original made with their servers: it keeps no such lists.
    async fn adopt_meetings(&self) -> Result<(), StoreError> {
        for names in self.list_members("SMEMBERS", "meetings").await?.chunks(PAGE_SIZE) {
            self.call_script(&ADOPT_MEETINGS, names).await?;
        }
        Ok(())
    }

    /// The same, if it was not done lately.
    pub(super) async fn adopt_if_due(&self) -> Result<(), StoreError> {
        // One does it, the others wait for it.
        let mut last = self.last_adoption.lock().await;
        if last.is_none_or(|last| last.elapsed() >= ADOPT_INTERVAL) {
            self.adopt_meetings().await?;
            *last = Some(Instant::now());
        }
        Ok(())
    }

    /// The names of all meetings, detached or not.
    async fn list_meeting_names(&self) -> Result<Vec<String>, StoreError> {
        let mut asked = redis::cmd("SUNION");
        let prefix = &self.client.prefix;
        asked.arg(format!("{prefix}meetings")).arg(format!("{prefix}own:detached"));
        self.query_texts(&asked).await
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

    async fn list_meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        if let Some(id) = server {
            self.adopt_meetings().await?;
            return rows::read_meetings(self.call_script(&LIST_SERVER_MEETINGS, &[&id.0]).await?);
        }
        let mut all = Vec::new();
        for names in self.list_meeting_names().await?.chunks(PAGE_SIZE) {
            all.extend(rows::read_meetings(self.call_script(&LIST_MEETINGS, names).await?)?);
        }
        all.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(all)
    }

    async fn place_meeting(&self, request: PlaceRequest) -> Result<PlaceOutcome, StoreError> {
        self.place_with_retries(&request).await
    }

    async fn confirm_meeting(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[PendingEnd],
    ) -> Result<(), StoreError> {
        let back = Meeting { seen_at: now, ..meeting.clone() };
        let mut asked = json!({
            "meeting": records::meeting_json(&back, &records::own_pairs(&back)),
            "now": now.0.to_string(),
            "pending_ends": records::pending_ends_json(endings),
        });
        set_text(&mut asked, "bridge", meeting.voice_bridge.as_deref());
        set_text(&mut asked, "token", meeting.claim.as_ref().map(|claim| claim.token.as_str()));
        self.call_script(&CONFIRM_MEETING, &[asked.to_string()]).await.map(drop)
    }

    async fn release_claim(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[PendingEnd],
    ) -> Result<bool, StoreError> {
        let endings = records::pending_ends_json(endings).to_string();
        Ok(is_one(
            &self
                .call_script(&RELEASE_CLAIM, &[tenant_or_empty(key), &key.id, token, &endings])
                .await?,
        ))
    }

    async fn forget_meeting(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&PendingEnd>,
    ) -> Result<bool, StoreError> {
        let endings =
            records::pending_ends_json(ending.map_or(&[], std::slice::from_ref)).to_string();
        let seen_at = seen_at.map(|at| at.0.to_string()).unwrap_or_default();
        let asked = [tenant_or_empty(key), &key.id, &server.0, &endings, &seen_at];
        Ok(is_one(&self.call_script(&FORGET_MEETING, &asked).await?))
    }

    async fn list_pending_ends(&self) -> Result<Vec<PendingEnd>, StoreError> {
        let mut all = Vec::new();
        for row in rows::to_list(self.call_script(&LIST_PENDING_ENDS, &NO_ARGUMENTS).await?) {
            let Some([id, kept]) = rows::to_array::<2>(row)? else { continue };
            let id = ServerId(rows::to_text(&id)?.unwrap_or_default());
            for one in rows::to_texts(kept)? {
                all.push(records::read_pending_end(&id, &one)?);
            }
        }
        all.sort_by(|one, other| (&one.server, &one.key).cmp(&(&other.server, &other.key)));
        Ok(all)
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
        let mut asked = json!({ "meeting": records::meeting_json(meeting, &own) });
        asked["detached"] = meeting.detached.into();
        set_text(&mut asked, "bridge", meeting.voice_bridge.as_deref());
        Ok(is_one(&self.call_script(&RESTORE_MEETING, &[asked.to_string()]).await?))
    }

    async fn claim_store_id(&self, mark: &str) -> Result<String, StoreError> {
        let found = rows::to_text(&self.client.call_script(&CLAIM_STORE_ID, &[mark]).await?)?;
        found.ok_or_else(|| rows::corrupt_error("no mark"))
    }

    async fn restore_servers(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let new: Vec<_> = servers.iter().map(servers::new_server_json).collect();
        let new = serde_json::Value::from(new).to_string();
        Ok(is_one(&self.call_script(&RESTORE_SERVERS, &[lost, &new]).await?))
    }

    async fn forget_unseen(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut swept = Vec::new();
        for names in self.list_meeting_names().await?.chunks(PAGE_SIZE) {
            let mut arguments = vec![unseen_since.0.to_string()];
            arguments.extend_from_slice(names);
            swept.extend(rows::read_meetings(self.call_script(&FORGET_UNSEEN, &arguments).await?)?);
        }
        self.remove_leftovers(unseen_since).await?;
        swept.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(swept)
    }
}

fn set_text(asked: &mut serde_json::Value, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        asked[name] = text.into();
    }
}
