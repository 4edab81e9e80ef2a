//! Servers and meetings in SQLite. What each method means is said by the port and shown by its
//! reference implementation in memory.

use app::ports::{Cluster, Located, PlaceRequest, Placed, PollReport, ServerChange, StoreError};
use async_trait::async_trait;
use domain::placement::choose;
use domain::poll::{Fate, Observation, PollPolicy, apply};
use domain::{Meeting, MeetingKey, Server, ServerId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::SqliteStore;
use super::joins::Counted;
use super::rows::{self, MEETING, SERVER, SERVER_COLUMNS};

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
        self.read(all_servers)
    }

    async fn server(&self, id: &ServerId) -> Result<Option<Server>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| one_server(connection, id))
    }

    async fn add_server(&self, server: Server) -> Result<bool, StoreError> {
        self.write(move |connection| Ok(rows::put_server(connection, &server, true)? == 1))
            .await
    }

    async fn update_server(
        &self,
        id: &ServerId,
        change: ServerChange,
    ) -> Result<Option<Server>, StoreError> {
        let id = id.clone();
        self.write(move |connection| {
            let Some(mut server) = one_server(connection, &id)? else {
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
            let meetings = take_all(connection, &id)?;
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
    ) -> Result<Option<PollReport>, StoreError> {
        let (id, observation, policy) = (id.clone(), observation.clone(), *policy);
        self.write(move |connection| record_poll(connection, &id, &observation, &policy))
            .await
    }

    async fn meeting(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| locate(connection, key))
    }

    async fn meetings(&self, server: Option<&ServerId>) -> Result<Vec<Meeting>, StoreError> {
        self.settle_joins().await?;
        self.read(|connection| meetings_of(connection, server))
    }

    async fn place(&self, request: PlaceRequest) -> Result<Placed, StoreError> {
        // Known meetings are the rule at 8 in the morning: they need no turn in the writer.
        let key = request.key.clone();
        let known = self.read(|connection| locate(connection, &key))?;
        match known.filter(|known| is_known(&known.meeting, &request)) {
            Some(known) => Ok(Placed::Known(known)),
            None => {
                self.write(move |connection| place(connection, request))
                    .await
            }
        }
    }

    async fn confirm(&self, meeting: &Meeting, now: Timestamp) -> Result<(), StoreError> {
        let meeting = meeting.clone();
        self.write(move |connection| confirm(connection, meeting, now))
            .await
    }

    async fn release(&self, key: &MeetingKey, token: &str) -> Result<bool, StoreError> {
        let (key, token) = (key.clone(), token.to_owned());
        self.write(move |connection| {
            let Some(Located { meeting, .. }) = locate(connection, &key)? else {
                return Ok(false);
            };
            let ours = meeting
                .claim
                .as_ref()
                .is_some_and(|claim| claim.token == token);
            if ours {
                undo(connection, &meeting)?;
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
        self.write(move |connection| take_all(connection, &server))
            .await
    }

    async fn join(&self, key: &MeetingKey, now: Timestamp) -> Result<Option<Located>, StoreError> {
        let located = self.read(|connection| locate(connection, key))?;
        let counts = located
            .as_ref()
            .is_some_and(|located| located.server.accepts_joins());
        if counts && self.joins.add(key, now) {
            let writer = self.writer.downgrade();
            tokio::spawn(async move {
                tokio::time::sleep(JOINS_GATHER).await;
                writer.nudge();
            });
        }
        Ok(located)
    }

    async fn sweep(&self, unseen_since: Timestamp) -> Result<Vec<Meeting>, StoreError> {
        self.write(move |connection| {
            let sql = format!("SELECT {MEETING} FROM meetings m WHERE m.seen_at < ?1");
            let expired = query_meetings(connection, &sql, params![unseen_since.0])?;
            connection
                .prepare_cached("DELETE FROM meetings WHERE seen_at < ?1")?
                .execute(params![unseen_since.0])?;
            Ok(expired)
        })
        .await
    }
}

fn all_servers(connection: &Connection) -> rusqlite::Result<Vec<Server>> {
    let sql = format!("SELECT {SERVER} FROM servers s ORDER BY s.position");
    connection
        .prepare_cached(&sql)?
        .query_map([], rows::server)?
        .collect()
}

fn one_server(connection: &Connection, id: &ServerId) -> rusqlite::Result<Option<Server>> {
    let sql = format!("SELECT {SERVER} FROM servers s WHERE s.id = ?1");
    connection
        .prepare_cached(&sql)?
        .query_row(params![id.0], rows::server)
        .optional()
}

fn locate(connection: &Connection, key: &MeetingKey) -> rusqlite::Result<Option<Located>> {
    let sql = format!(
        "SELECT {SERVER}, {MEETING} FROM meetings m JOIN servers s ON s.id = m.server_id \
         WHERE m.tenant = ?1 AND m.id = ?2"
    );
    let located = |row: &rusqlite::Row<'_>| {
        Ok(Located {
            server: rows::server(row)?,
            meeting: rows::meeting(row, SERVER_COLUMNS)?,
        })
    };
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_row(params![rows::tenant(key), key.id], located)
        .optional()
}

fn query_meetings(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Meeting>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_map(parameters, |row| rows::meeting(row, 0))?
        .collect()
}

fn meetings_of(
    connection: &Connection,
    server: Option<&ServerId>,
) -> rusqlite::Result<Vec<Meeting>> {
    let of = if server.is_some() {
        "WHERE m.server_id = ?1"
    } else {
        ""
    };
    let sql = format!("SELECT {MEETING} FROM meetings m {of} ORDER BY m.tenant, m.id");
    match server {
        Some(id) => query_meetings(connection, &sql, params![id.0]),
        None => query_meetings(connection, &sql, []),
    }
}

fn take_all(connection: &Connection, server: &ServerId) -> rusqlite::Result<Vec<Meeting>> {
    let meetings = meetings_of(connection, Some(server))?;
    connection
        .prepare_cached("DELETE FROM meetings WHERE server_id = ?1")?
        .execute(params![server.0])?;
    Ok(meetings)
}

fn delete(connection: &Connection, key: &MeetingKey) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM meetings WHERE tenant = ?1 AND id = ?2")?
        .execute(params![rows::tenant(key), key.id])
}

fn add_load(connection: &Connection, server: &ServerId, seats: f64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE servers SET load = max(0.0, load + ?2 * load_multiplier) \
             WHERE id = ?1 AND load IS NOT NULL",
        )?
        .execute(params![server.0, seats])
}

/// Removes a meeting as if it had never been placed.
fn undo(connection: &Connection, meeting: &Meeting) -> rusqlite::Result<()> {
    delete(connection, &meeting.key)?;
    add_load(
        connection,
        &meeting.server,
        -f64::from(meeting.seats.taken(meeting.placed_at)),
    )?;
    Ok(())
}

fn is_known(meeting: &Meeting, request: &PlaceRequest) -> bool {
    meeting.claim.is_none() || meeting.is_being_created(request.now)
}

fn place(connection: &Connection, request: PlaceRequest) -> rusqlite::Result<Placed> {
    if let Some(known) = locate(connection, &request.key)? {
        if is_known(&known.meeting, &request) {
            return Ok(Placed::Known(known));
        }
        undo(connection, &known.meeting)?;
    }
    let servers = all_servers(connection)?;
    let server = match choose(&servers, &request.ask) {
        Ok(server) => server.id.clone(),
        Err(refusal) => return Ok(Placed::Refused(refusal)),
    };
    let Some(voice_bridge) = free_bridge(connection, &request.voice_bridges)? else {
        return Ok(Placed::NoVoiceBridge);
    };
    let meeting = Meeting {
        key: request.key,
        server,
        moderator_pw: request.moderator_pw,
        voice_bridge: Some(voice_bridge),
        claim: Some(request.claim),
        placed_at: request.now,
        seen_at: request.now,
        seats: request.seats,
    };
    rows::insert_meeting(connection, &meeting)?;
    add_load(
        connection,
        &meeting.server,
        f64::from(meeting.seats.taken(request.now)),
    )?;
    let server =
        one_server(connection, &meeting.server)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Placed::Won(Located { meeting, server }))
}

fn free_bridge(connection: &Connection, candidates: &[String]) -> rusqlite::Result<Option<String>> {
    let mut taken = connection.prepare_cached("SELECT 1 FROM meetings WHERE voice_bridge = ?1")?;
    for number in candidates {
        if !taken.exists(params![number])? {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

fn confirm(connection: &Connection, meeting: Meeting, now: Timestamp) -> rusqlite::Result<()> {
    if let Some(stored) = locate(connection, &meeting.key)? {
        if stored.server.id == meeting.server {
            connection
                .prepare_cached(
                    "UPDATE meetings SET claim_token = NULL, claim_until = NULL, seen_at = ?3 \
                     WHERE tenant = ?1 AND id = ?2",
                )?
                .execute(params![rows::tenant(&meeting.key), meeting.key.id, now.0])?;
        }
        return Ok(());
    }
    if one_server(connection, &meeting.server)?.is_none() {
        return Ok(());
    }
    let number: Vec<String> = meeting.voice_bridge.iter().cloned().collect();
    let voice_bridge = free_bridge(connection, &number)?;
    let back = Meeting {
        claim: None,
        seen_at: now,
        voice_bridge,
        ..meeting
    };
    rows::insert_meeting(connection, &back)?;
    add_load(connection, &back.server, f64::from(back.seats.taken(now)))?;
    Ok(())
}

fn record_poll(
    connection: &Connection,
    id: &ServerId,
    observation: &Observation,
    policy: &PollPolicy,
) -> rusqlite::Result<Option<PollReport>> {
    let Some(mut server) = one_server(connection, id)? else {
        return Ok(None);
    };
    let known = meetings_of(connection, Some(id))?;
    let verdict = apply(&mut server, &known, observation, policy);
    rows::put_server(connection, &server, false)?;
    let mut seen = connection.prepare_cached(
        "UPDATE meetings SET seen_at = ?3, reserved = ?4, reserved_until = ?5, users = ?6, \
         claim_token = NULL, claim_until = NULL \
         WHERE tenant = ?1 AND id = ?2",
    )?;
    for (key, fate) in &verdict.fates {
        match fate {
            Fate::Forget => delete(connection, key)?,
            Fate::Seen(seats) => seen.execute(params![
                rows::tenant(key),
                key.id,
                observation.finished_at.0,
                seats.reserved,
                seats.reserved_until.0,
                seats.users
            ])?,
        };
    }
    let gone = |meeting: &Meeting| verdict.fates.contains(&(meeting.key.clone(), Fate::Forget));
    let forgotten = known.into_iter().filter(gone).collect();
    Ok(Some(PollReport {
        server,
        verdict,
        forgotten,
    }))
}

/// Writes the joins that were counted since the last transaction.
pub(super) fn count_joins(connection: &Connection, counted: &Counted) -> rusqlite::Result<()> {
    for (key, (joins, at)) in counted {
        let Some(Located { mut meeting, .. }) = locate(connection, key)? else {
            continue;
        };
        let added: u32 = (0..*joins).map(|_| meeting.seats.join(*at)).sum();
        connection
            .prepare_cached("UPDATE meetings SET users = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute(params![rows::tenant(key), key.id, meeting.seats.users])?;
        if added > 0 {
            add_load(connection, &meeting.server, f64::from(added))?;
        }
    }
    Ok(())
}
