//! Servers and meetings in SQLite. What each method means is said by the port and shown by its
//! reference implementation in memory.

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
use async_trait::async_trait;
use domain::poll::{Observation, PollPolicy};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};
use rusqlite::params;

use super::SqliteStore;
use super::rows;
use super::statements;

/// How long joins gather before they are written.
const JOINS_GATHER: std::time::Duration = std::time::Duration::from_millis(100);

#[async_trait]
impl Cluster for SqliteStore {
    async fn check(&self) -> Result<(), StoreError> {
        self.write(|connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO probe VALUES (1, unixepoch())")?
                .execute([])
        })
        .await?;
        self.read(|connection| {
            connection.query_row("SELECT at FROM probe", [], |row| row.get::<_, i64>(0))
        })
        .map(drop)
    }

    async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.settle_joins().await?;
        self.read(statements::all_servers)
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| statements::one_server(connection, id))
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.write(move |connection| Ok(rows::put_server(connection, &server, true)? == 1)).await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.write(move |connection| {
            let Some(mut server) = statements::one_server(connection, &id)? else {
                return Ok(None);
            };
            change.apply(&mut server);
            rows::put_server(connection, &server, false)?;
            Ok(Some(server))
        })
        .await
    }

    async fn remove_server(&self, id: &ServerId) -> Result<Option<Vec<Meeting>>, StoreError> {
        let id = id.clone();
        self.write(move |connection| {
            let meetings = statements::take_all(connection, &id)?;
            let removed = connection
                .prepare_cached("DELETE FROM servers WHERE id = ?1")?
                .execute(params![id.0])?;
            Ok((removed == 1).then_some(meetings))
        })
        .await
    }

    async fn record_version(&self, id: &ServerId, version: &str) -> Result<(), StoreError> {
        let (id, version) = (id.clone(), version.to_owned());
        self.write(move |connection| {
            connection
                .prepare_cached("UPDATE servers SET bbb_version = ?2 WHERE id = ?1")?
                .execute(params![id.0, version])
        })
        .await
        .map(drop)
    }

    async fn record_poll(
        &self,
        id: &ServerId,
        observation: &Observation,
        policy: &PollPolicy,
        _cycle: Option<u64>,
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write(move |connection| {
            statements::record_poll(connection, &id, &observation, &policy)
        })
        .await
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| statements::locate(connection, key))
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| statements::meetings_of(connection, server))
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        // Known meetings are the rule at 8 in the morning: they need no turn in the writer.
        let key = request.key.clone();
        let known = self.read(|connection| statements::locate(connection, &key))?;
        match known.filter(|known| request.yields_to(&known.meeting)) {
            Some(known) => Ok(Placed::Known(known)),
            None => self.write(move |connection| statements::place(connection, request)).await,
        }
    }

    async fn confirm(&self, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
        let meeting = meeting.clone();
        self.write(move |connection| statements::confirm(connection, meeting, now)).await
    }

    async fn release(&self, key: &MeetingKey, token: &str) -> Result<bool, StoreError> {
        let (key, token) = (key.clone(), token.to_owned());
        self.write(move |connection| {
            let Some(Located { meeting, .. }) = statements::locate(connection, &key)? else {
                return Ok(false);
            };
            let ours = meeting.claim.as_ref().is_some_and(|claim| claim.token == token);
            if ours {
                statements::undo(connection, &meeting)?;
            }
            Ok(ours)
        })
        .await
    }

    async fn forget(&self, key: &MeetingKey, server: &ServerId) -> Result<bool, StoreError> {
        let (key, server) = (key.clone(), server.clone());
        self.write(move |connection| {
            let forgotten = connection
                .prepare_cached(
                    "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2 AND server_id = ?3",
                )?
                .execute(params![rows::tenant(&key), key.id, server.0])?;
            Ok(forgotten == 1)
        })
        .await
    }

    async fn forget_all(&self, server: &ServerId) -> Result<Vec<Meeting>, StoreError> {
        let server = server.clone();
        self.write(move |connection| statements::take_all(connection, &server)).await
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let sign = self.beacon.sign();
        let located = match self.memory.get(key, sign) {
            Some(located) => Some(located),
            None => {
                let found = self.read(|connection| statements::locate(connection, key))?;
                if let Some(found) = &found {
                    self.memory.put(key, found, sign);
                }
                found
            }
        };
        let counts = located.as_ref().is_some_and(|located| located.server.accepts_joins());
        if counts && self.joins.add(key, now) {
            let writer = self.writer.downgrade();
            tokio::spawn(async move {
                tokio::time::sleep(JOINS_GATHER).await;
                writer.nudge();
            });
        }
        Ok(located)
    }

    async fn restore(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let meeting = meeting.clone();
        self.write(move |connection| statements::restore(connection, meeting)).await
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |connection| {
            let expired = statements::unseen_since(connection, unseen_since)?;
            connection
                .prepare_cached("DELETE FROM meetings WHERE seen_at < ?1")?
                .execute(params![unseen_since.0])?;
            Ok(expired)
        })
        .await
    }
}
