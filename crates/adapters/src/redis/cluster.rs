//! Servers and meetings in Redis. What each method means is said by the port and shown by its
//! reference implementation in memory.

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
use async_trait::async_trait;
use domain::health::{Failure, Thresholds};
use domain::poll::{Ending, Observation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};
use redis::Value;
use serde_json::json;
use tokio::time::Instant;

use super::join::tenant;
use super::rows::{self, is_one};
use super::script::{
    ADD_SERVER, ADOPT, CHECK, CONFIRM, ENDINGS, FORGET, FORGET_ALL, MARK, MEETINGS, MEETINGS_ON,
    NO_ARGUMENTS, PUT_BACK, RECORD_VERSION, RELEASE, REMOVE_SERVER, RESTORE, SERVER, SERVERS,
    SWEEP, SWEEP_BRIDGES, SWEEP_ENDINGS, SWEEP_SERVERS, UPDATE_SERVER,
};
use super::{ADOPT_EVERY, PAGE, RedisStore, in_order, records, servers};

impl RedisStore {
    pub(super) async fn all_servers(&self) -> Result<Vec<Server>, StoreError> {
        let found = self.call(&SERVERS, &NO_ARGUMENTS).await?;
        let Some([list, revision]) = rows::some::<2>(found)? else {
            return Ok(Vec::new());
        };
        let list = rows::list(list).into_iter().map(rows::server);
        let servers = in_order(list.filter_map(Result::transpose).collect::<Result<_, _>>()?);
        self.remember(&servers, rows::text(&revision)?.unwrap_or_default());
        Ok(servers)
    }

    /// Lists meetings that the original made with their servers: it keeps no such lists.
    async fn adopt(&self) -> Result<(), StoreError> {
        for names in self.members("SMEMBERS", "meetings").await?.chunks(PAGE) {
            self.call(&ADOPT, names).await?;
        }
        Ok(())
    }

    /// The same, if it was not done lately.
    pub(super) async fn adopt_now_and_then(&self) -> Result<(), StoreError> {
        // One does it, the others wait for it.
        let mut last = self.adopted.lock().await;
        if last.is_none_or(|last| last.elapsed() >= ADOPT_EVERY) {
            self.adopt().await?;
            *last = Some(Instant::now());
        }
        Ok(())
    }

    /// The names of all meetings, detached or not.
    async fn all_meetings(&self) -> Result<Vec<String>, StoreError> {
        let mut asked = redis::cmd("SUNION");
        let prefix = &self.core.prefix;
        asked.arg(format!("{prefix}meetings")).arg(format!("{prefix}own:detached"));
        self.names(&asked).await
    }

    async fn sweep_rest(&self, unseen_since: Timestamp) -> Result<(), StoreError> {
        for bridges in self.members("HKEYS", "voice_bridges").await?.chunks(PAGE) {
            self.call(&SWEEP_BRIDGES, bridges).await?;
        }
        self.call(&SWEEP_SERVERS, &NO_ARGUMENTS).await?;
        self.call(&SWEEP_ENDINGS, &[unseen_since.0.to_string()]).await.map(drop)
    }
}

#[async_trait]
impl Cluster for RedisStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.call(&CHECK, &NO_ARGUMENTS).await.map(drop)
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.all_servers().await
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        let row = rows::server(self.call(&SERVER, &[&id.0]).await?)?;
        Ok(row.map(|row| row.server))
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        let new = servers::new_server(&server).to_string();
        Ok(is_one(&self.call(&ADD_SERVER, &[new]).await?))
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let change = servers::change(&change).to_string();
        let row = rows::server(self.call(&UPDATE_SERVER, &[&id.0, &change]).await?)?;
        Ok(row.map(|row| row.server))
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        self.adopt().await?;
        match self.call(&REMOVE_SERVER, &[&id.0]).await? {
            Value::Nil => Ok(None),
            found => rows::meetings(found).map(Some),
        }
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        self.call(&RECORD_VERSION, &[id.0.as_str(), version]).await.map(drop)
    }

    async fn record_failure(
        &self,
        id: &ServerId,
        failure: &Failure,
        thresholds: Thresholds,
    ) -> Result<(), StoreError> {
        self.doubt(id, failure, thresholds).await
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        self.record(id, observation, policy, cycle).await
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        self.settle_joins().await;
        self.locate(key).await
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        if let Some(id) = server {
            self.adopt().await?;
            return rows::meetings(self.call(&MEETINGS_ON, &[&id.0]).await?);
        }
        let mut all = Vec::new();
        for names in self.all_meetings().await?.chunks(PAGE) {
            all.extend(rows::meetings(self.call(&MEETINGS, names).await?)?);
        }
        all.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(all)
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        self.find_place(&request).await
    }

    async fn confirm(
        &self,
        meeting: &Meeting,
        now: Timestamp,
        endings: &[Ending],
    ) -> Result<(), StoreError> {
        let back = Meeting { seen_at: now, ..meeting.clone() };
        let mut asked = json!({
            "meeting": records::record(&back, &records::own_pairs(&back)),
            "now": now.0.to_string(),
            "endings": records::endings(endings),
        });
        put_text(&mut asked, "bridge", meeting.voice_bridge.as_deref());
        put_text(&mut asked, "token", meeting.claim.as_ref().map(|claim| claim.token.as_str()));
        self.call(&CONFIRM, &[asked.to_string()]).await.map(drop)
    }

    async fn release(
        &self,
        key: &MeetingKey,
        token: &str,
        endings: &[Ending],
    ) -> Result<bool, StoreError> {
        let endings = records::endings(endings).to_string();
        Ok(is_one(&self.call(&RELEASE, &[tenant(key), &key.id, token, &endings]).await?))
    }

    async fn forget(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        seen_at: Option<Timestamp>,
        ending: Option<&Ending>,
    ) -> Result<bool, StoreError> {
        let endings = records::endings(ending.map_or(&[], std::slice::from_ref)).to_string();
        let seen_at = seen_at.map(|at| at.0.to_string()).unwrap_or_default();
        let asked = [tenant(key), &key.id, &server.0, &endings, &seen_at];
        Ok(is_one(&self.call(&FORGET, &asked).await?))
    }

    async fn endings(&self) -> Result<Vec<Ending>, StoreError> {
        let mut all = Vec::new();
        for row in rows::list(self.call(&ENDINGS, &NO_ARGUMENTS).await?) {
            let Some([id, kept]) = rows::some::<2>(row)? else { continue };
            let id = ServerId(rows::text(&id)?.unwrap_or_default());
            for one in rows::texts(kept)? {
                all.push(records::ending(&id, &one)?);
            }
        }
        all.sort_by(|one, other| (&one.server, &one.key).cmp(&(&other.server, &other.key)));
        Ok(all)
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.adopt().await?;
        rows::meetings(self.call(&FORGET_ALL, &[&server.0]).await?)
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        self.join_one(key, now).await
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let mut own = records::own_pairs(meeting);
        own.extend(records::claim_pairs(meeting));
        let mut asked = json!({ "meeting": records::record(meeting, &own) });
        asked["detached"] = meeting.detached.into();
        put_text(&mut asked, "bridge", meeting.voice_bridge.as_deref());
        Ok(is_one(&self.call(&RESTORE, &[asked.to_string()]).await?))
    }

    async fn mark(&self, mark: &str) -> Result<String, StoreError> {
        let found = rows::text(&self.core.call(&MARK, &[mark]).await?)?;
        found.ok_or_else(|| rows::corrupt("no mark"))
    }

    async fn put_back(&self, lost: &str, servers: &[Server]) -> Result<bool, StoreError> {
        let new: Vec<_> = servers.iter().map(servers::new_server).collect();
        let new = serde_json::Value::from(new).to_string();
        Ok(is_one(&self.call(&PUT_BACK, &[lost, &new]).await?))
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut swept = Vec::new();
        for names in self.all_meetings().await?.chunks(PAGE) {
            let mut arguments = vec![unseen_since.0.to_string()];
            arguments.extend_from_slice(names);
            swept.extend(rows::meetings(self.call(&SWEEP, &arguments).await?)?);
        }
        self.sweep_rest(unseen_since).await?;
        swept.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(swept)
    }
}

fn put_text(asked: &mut serde_json::Value, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        asked[name] = text.into();
    }
}
