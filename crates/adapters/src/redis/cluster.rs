//! Servers and meetings in Redis. What each method means is said by the port and shown by its
//! reference implementation in memory.

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
use async_trait::async_trait;
use domain::placement::choose;
use domain::poll::{Observation, PollPolicy};
use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};
use redis::Value;
use tokio::time::Instant;

use super::join::tenant;
use super::rows::{self, Fields, is_one};
use super::script::{
    ADD_SERVER, ADOPT, CHECK, CLAIM, CONFIRM, FORGET, FORGET_ALL, LOOK, MEETINGS, MEETINGS_ON,
    NO_ARGUMENTS, RECORD_VERSION, RELEASE, REMOVE_SERVER, RESTORE, SERVER, SERVERS, SWEEP,
    SWEEP_BRIDGES, SWEEP_SERVERS, UPDATE_SERVER,
};
use super::{ADOPT_EVERY, PAGE, RedisStore, TRIES_MAX, busy, in_order, servers};

/// What a look at a meeting found.
enum Look {
    /// It is there.
    Known(Box<Located>),
    /// It is not: servers that may take it, and their loads as Redis writes them.
    Free(Vec<Server>, Fields),
}

impl RedisStore {
    async fn all_servers(&self) -> Result<Vec<Server>, StoreError> {
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

    async fn look(&self, request: &PlaceRequest) -> Result<Look, StoreError> {
        let now = request.now.0.to_string();
        let found = self.call(&LOOK, &[tenant(&request.key), &request.key.id, &now]).await?;
        let Some([what, one, two]) = rows::some::<3>(found)? else {
            return Err(StoreError::Corrupt("Redis: a look that shows nothing".to_owned()));
        };
        if rows::text(&what)?.as_deref() == Some("known") {
            let located = rows::located(one, two)?;
            return located.map(|located| Look::Known(Box::new(located))).ok_or_else(busy);
        }
        let loads = rows::fields(one)?;
        let revision = rows::text(&two)?.unwrap_or_default();
        let mut servers = match self.recall(&revision) {
            Some(servers) => servers,
            None => self.all_servers().await?,
        };
        let is_open = |one: &Server| one.online() && one.state == AdminState::Enabled;
        let listed = |one: &&Server| is_open(one) && loads.contains_key(&one.id.0);
        // The original may have added or enabled one since.
        if servers.iter().filter(listed).count() < loads.len() {
            servers = self.all_servers().await?;
        }
        for server in &mut servers {
            server.load = loads.get(&server.id.0).and_then(|load| load.parse().ok());
        }
        Ok(Look::Free(servers, loads))
    }

    /// One try; nothing if others were faster.
    async fn try_to_place(&self, request: &PlaceRequest) -> Result<Option<Placed>, StoreError> {
        let (servers, loads) = match self.look(request).await? {
            Look::Known(located) => return Ok(Some(Placed::Known(*located))),
            Look::Free(servers, loads) => (servers, loads),
        };
        let server = match choose(&servers, &request.ask) {
            Ok(server) => server.clone(),
            Err(refusal) => return Ok(Some(Placed::Refused(refusal))),
        };
        let load = loads.get(&server.id.0).map_or("", String::as_str);
        let arguments = claim_arguments(request, &server.id, load);
        let [what, rest @ ..] = &rows::list(self.call(&CLAIM, &arguments).await?)[..] else {
            return Ok(None);
        };
        match (rows::text(what)?.as_deref(), rest) {
            (Some("won"), [bridge, load]) => {
                let bridge = rows::text(bridge)?.unwrap_or_default();
                let load = rows::text(load)?.and_then(|load| load.parse().ok());
                let meeting = request.clone().placed_on(server.id.clone(), bridge);
                Ok(Some(Placed::Won(Located { meeting, server: Server { load, ..server } })))
            }
            (Some("no bridge"), _) => Ok(Some(Placed::NoVoiceBridge)),
            _ => Ok(None),
        }
    }
}

fn claim_arguments(request: &PlaceRequest, server: &ServerId, load: &str) -> Vec<String> {
    let (claim, seats) = (&request.claim, &request.seats);
    let mut arguments = vec![
        tenant(&request.key).to_owned(),
        request.key.id.clone(),
        server.0.clone(),
        load.to_owned(),
        claim.token.clone(),
        claim.until.0.to_string(),
        request.now.0.to_string(),
        seats.reserved.to_string(),
        seats.reserved_until.0.to_string(),
        seats.users.to_string(),
    ];
    arguments.extend(optional(request.moderator_pw.as_ref()));
    arguments.extend(request.voice_bridges.iter().cloned());
    arguments
}

/// A meeting that is put as it is, with two times.
fn meeting_arguments(meeting: &Meeting, times: [Timestamp; 2]) -> Vec<String> {
    let seats = &meeting.seats;
    let mut arguments = vec![
        tenant(&meeting.key).to_owned(),
        meeting.key.id.clone(),
        meeting.server.0.clone(),
        times[0].0.to_string(),
        times[1].0.to_string(),
        seats.reserved.to_string(),
        seats.reserved_until.0.to_string(),
        seats.users.to_string(),
    ];
    arguments.extend(optional(meeting.moderator_pw.as_ref()));
    arguments.extend(optional(meeting.voice_bridge.as_ref()));
    arguments
}

/// A text that may be absent, as two arguments.
fn optional(text: Option<&String>) -> [String; 2] {
    let flag = if text.is_some() { "1" } else { "0" };
    [flag.to_owned(), text.cloned().unwrap_or_default()]
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
        for names in self.members("SMEMBERS", "meetings").await?.chunks(PAGE) {
            all.extend(rows::meetings(self.call(&MEETINGS, names).await?)?);
        }
        all.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(all)
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        if let Some(placed) = self.try_to_place(&request).await? {
            return Ok(placed);
        }
        let _alone = self.placing.lock().await;
        for _ in 0..TRIES_MAX {
            if let Some(placed) = self.try_to_place(&request).await? {
                return Ok(placed);
            }
        }
        Err(busy())
    }

    async fn confirm(&self, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
        let arguments = meeting_arguments(meeting, [now, meeting.placed_at]);
        self.call(&CONFIRM, &arguments).await.map(drop)
    }

    async fn release(&self, key: &MeetingKey, token: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call(&RELEASE, &[tenant(key), &key.id, token]).await?))
    }

    async fn forget(&self, key: &MeetingKey, server: &ServerId) -> Result<bool, StoreError> {
        Ok(is_one(&self.call(&FORGET, &[tenant(key), &key.id, &server.0]).await?))
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        self.adopt().await?;
        rows::meetings(self.call(&FORGET_ALL, &[&server.0]).await?)
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        self.join_one(key, now).await
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let mut arguments = meeting_arguments(meeting, [meeting.placed_at, meeting.seen_at]);
        if let Some(claim) = &meeting.claim {
            arguments.extend([claim.token.clone(), claim.until.0.to_string()]);
        }
        Ok(is_one(&self.call(&RESTORE, &arguments).await?))
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        let mut swept = Vec::new();
        for names in self.members("SMEMBERS", "meetings").await?.chunks(PAGE) {
            let mut arguments = vec![unseen_since.0.to_string()];
            arguments.extend_from_slice(names);
            swept.extend(rows::meetings(self.call(&SWEEP, &arguments).await?)?);
        }
        for bridges in self.members("HKEYS", "voice_bridges").await?.chunks(PAGE) {
            self.call(&SWEEP_BRIDGES, bridges).await?;
        }
        self.call(&SWEEP_SERVERS, &NO_ARGUMENTS).await?;
        swept.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(swept)
    }
}
