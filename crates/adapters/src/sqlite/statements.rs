//! What the methods of the store do within one transaction.

use std::collections::HashSet;

use app::ports::{Located, PlaceRequest, Placed, PollReport};
use domain::placement::choose;
use domain::poll::{Fate, Observation, PollPolicy, apply};
use domain::{AdminState, Meeting, MeetingKey, Server, ServerId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::joins::Counted;
use super::rows::{self, SERVER_COLUMNS, meeting_columns, server_columns};

pub(super) fn all_servers(connection: &Connection) -> rusqlite::Result<Vec<Server>> {
    const ALL: &str = concat!("SELECT ", server_columns!(), " FROM servers s ORDER BY s.position");
    connection.prepare_cached(ALL)?.query_map([], rows::server)?.collect()
}

pub(super) fn one_server(
    connection: &Connection,
    id: &ServerId,
) -> rusqlite::Result<Option<Server>> {
    const ONE: &str = concat!("SELECT ", server_columns!(), " FROM servers s WHERE s.id = ?1");
    connection.prepare_cached(ONE)?.query_row(params![id.0], rows::server).optional()
}

pub(super) fn locate(
    connection: &Connection,
    key: &MeetingKey,
) -> rusqlite::Result<Option<Located>> {
    const LOCATE: &str = concat!(
        "SELECT ",
        server_columns!(),
        ", ",
        meeting_columns!(),
        " FROM meetings m JOIN servers s ON s.id = m.server_id WHERE m.tenant = ?1 AND m.id = ?2"
    );
    let located = |row: &rusqlite::Row<'_>| {
        Ok(Located { server: rows::server(row)?, meeting: rows::meeting(row, SERVER_COLUMNS)? })
    };
    let mut statement = connection.prepare_cached(LOCATE)?;
    statement.query_row(params![rows::tenant(key), key.id], located).optional()
}

fn query_meetings(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<Meeting>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(parameters, |row| rows::meeting(row, 0))?.collect()
}

pub(super) fn meetings_of(
    connection: &Connection,
    server: Option<&ServerId>,
) -> rusqlite::Result<Vec<Meeting>> {
    const ALL: &str = concat!("SELECT ", meeting_columns!(), " FROM meetings m ORDER BY 1, 2");
    const OF_SERVER: &str = concat!(
        "SELECT ",
        meeting_columns!(),
        " FROM meetings m WHERE m.server_id = ?1 ORDER BY 1, 2"
    );
    match server {
        Some(id) => query_meetings(connection, OF_SERVER, params![id.0]),
        None => query_meetings(connection, ALL, []),
    }
}

/// Meetings that no server has confirmed since then.
pub(super) fn unseen_since(
    connection: &Connection,
    since: Timestamp,
) -> rusqlite::Result<Vec<Meeting>> {
    const UNSEEN: &str =
        concat!("SELECT ", meeting_columns!(), " FROM meetings m WHERE m.seen_at < ?1");
    query_meetings(connection, UNSEEN, params![since.0])
}

pub(super) fn take_all(
    connection: &Connection,
    server: &ServerId,
) -> rusqlite::Result<Vec<Meeting>> {
    let meetings = meetings_of(connection, Some(server))?;
    connection
        .prepare_cached("DELETE FROM meetings WHERE server_id = ?1")?
        .execute(params![server.0])?;
    Ok(meetings)
}

pub(super) fn delete(connection: &Connection, key: &MeetingKey) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM meetings WHERE tenant = ?1 AND id = ?2")?
        .execute(params![rows::tenant(key), key.id])
}

pub(super) fn add_load(
    connection: &Connection,
    server: &ServerId,
    seats: f64,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE servers SET load = max(0.0, load + ?2 * load_multiplier) \
             WHERE id = ?1 AND load IS NOT NULL",
        )?
        .execute(params![server.0, seats])
}

/// Removes a meeting as if it had never been placed.
pub(super) fn undo(connection: &Connection, meeting: &Meeting) -> rusqlite::Result<()> {
    delete(connection, &meeting.key)?;
    add_load(connection, &meeting.server, -f64::from(meeting.seats.taken(meeting.placed_at)))?;
    Ok(())
}

pub(super) fn place(connection: &Connection, request: PlaceRequest) -> rusqlite::Result<Placed> {
    if let Some(known) = locate(connection, &request.key)? {
        if request.yields_to(&known.meeting) {
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
    let meeting = request.placed_on(server, voice_bridge);
    rows::insert_meeting(connection, &meeting)?;
    let seats = meeting.seats.taken(meeting.placed_at);
    add_load(connection, &meeting.server, f64::from(seats))?;
    let server =
        one_server(connection, &meeting.server)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Placed::Won(Located { meeting, server }))
}

pub(super) fn free_bridge(
    connection: &Connection,
    candidates: &[String],
) -> rusqlite::Result<Option<String>> {
    let mut taken = connection.prepare_cached("SELECT 1 FROM meetings WHERE voice_bridge = ?1")?;
    for number in candidates {
        if !taken.exists(params![number])? {
            return Ok(Some(number.clone()));
        }
    }
    Ok(None)
}

pub(super) fn confirm(
    connection: &Connection,
    meeting: Meeting,
    now: Timestamp,
) -> rusqlite::Result<()> {
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
    let server = one_server(connection, &meeting.server)?;
    if server.is_none_or(|server| server.state == AdminState::Disabled) {
        return Ok(());
    }
    let number: Vec<String> = meeting.voice_bridge.iter().cloned().collect();
    let voice_bridge = free_bridge(connection, &number)?;
    let back = Meeting { claim: None, seen_at: now, voice_bridge, ..meeting };
    rows::insert_meeting(connection, &back)?;
    add_load(connection, &back.server, f64::from(back.seats.taken(now)))?;
    Ok(())
}

pub(super) fn restore(connection: &Connection, meeting: Meeting) -> rusqlite::Result<bool> {
    let has_server = one_server(connection, &meeting.server)?.is_some();
    if !has_server || locate(connection, &meeting.key)?.is_some() {
        return Ok(false);
    }
    let number: Vec<String> = meeting.voice_bridge.iter().cloned().collect();
    let voice_bridge = free_bridge(connection, &number)?;
    rows::insert_meeting(connection, &Meeting { voice_bridge, ..meeting })?;
    Ok(true)
}

pub(super) fn record_poll(
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
    let forget = |(key, fate): &(MeetingKey, Fate)| (*fate == Fate::Forget).then(|| key.clone());
    let gone: HashSet<MeetingKey> = verdict.fates.iter().filter_map(forget).collect();
    let forgotten = known.into_iter().filter(|meeting| gone.contains(&meeting.key)).collect();
    Ok(Some(PollReport { server, verdict, forgotten }))
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
