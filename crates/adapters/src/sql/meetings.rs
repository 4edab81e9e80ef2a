//! Statements about meetings, and what joins found of them.

use app::ports::{Located, PlaceRequest, Placed, StoreError};
use domain::placement::choose;
use domain::{AdminState, Meeting, MeetingKey, Seats, ServerId, Timestamp};

use super::rows::{self, meeting_columns, server_columns, tenant};
use super::servers;
use super::session::{Session, values};
use crate::joins::Counted;

pub(super) fn locate(
    session: &mut dyn Session,
    key: &MeetingKey,
) -> Result<Option<Located>, StoreError> {
    const LOCATE: &str = concat!(
        "SELECT ",
        server_columns!(),
        ", ",
        meeting_columns!(),
        " FROM meetings m JOIN servers s ON s.id = m.server_id WHERE m.tenant = ?1 AND m.id = ?2"
    );
    session.first(LOCATE, values![tenant(key), &key.id], rows::located)
}

pub(super) fn all(session: &mut dyn Session) -> Result<Vec<Meeting>, StoreError> {
    const ALL: &str = concat!("SELECT ", meeting_columns!(), " FROM meetings m ORDER BY 1, 2");
    session.query(ALL, &[], rows::meeting)
}

pub(super) fn of_server(
    session: &mut dyn Session,
    id: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    const OF_SERVER: &str = concat!(
        "SELECT ",
        meeting_columns!(),
        " FROM meetings m WHERE m.server_id = ?1 ORDER BY 1, 2"
    );
    session.query(OF_SERVER, values![&id.0], rows::meeting)
}

/// Deletes meetings that no server has confirmed since then.
pub(super) fn sweep(
    session: &mut dyn Session,
    since: Timestamp,
) -> Result<Vec<Meeting>, StoreError> {
    const UNSEEN: &str =
        concat!("SELECT ", meeting_columns!(), " FROM meetings m WHERE m.seen_at < ?1");
    let unseen = session.query(UNSEEN, values![since.0], rows::meeting)?;
    if !unseen.is_empty() {
        session.execute("DELETE FROM meetings WHERE seen_at < ?1", values![since.0])?;
    }
    Ok(unseen)
}

pub(super) fn take_all(
    session: &mut dyn Session,
    server: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    let meetings = of_server(session, server)?;
    session.execute("DELETE FROM meetings WHERE server_id = ?1", values![&server.0])?;
    Ok(meetings)
}

pub(super) fn delete(session: &mut dyn Session, key: &MeetingKey) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2";
    session.execute(DELETE, values![tenant(key), &key.id]).map(drop)
}

pub(super) fn forget(
    session: &mut dyn Session,
    key: &MeetingKey,
    server: &ServerId,
) -> Result<bool, StoreError> {
    const FORGET: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    Ok(session.execute(FORGET, values![tenant(key), &key.id, &server.0])? == 1)
}

/// A poll has seen it.
pub(super) fn seen(
    session: &mut dyn Session,
    key: &MeetingKey,
    at: Timestamp,
    seats: &Seats,
) -> Result<(), StoreError> {
    const SEEN: &str = "UPDATE meetings SET seen_at = ?3, reserved = ?4, reserved_until = ?5, \
        users = ?6, claim_token = NULL, claim_until = NULL WHERE tenant = ?1 AND id = ?2";
    let values =
        values![tenant(key), &key.id, at.0, seats.reserved, seats.reserved_until.0, seats.users];
    session.execute(SEEN, values).map(drop)
}

/// Removes a meeting as if it had never been placed.
fn undo(session: &mut dyn Session, meeting: &Meeting) -> Result<(), StoreError> {
    delete(session, &meeting.key)?;
    let seats = f64::from(meeting.seats.taken(meeting.placed_at));
    servers::add_load(session, &meeting.server, -seats)
}

/// Undoes a place if this claim won it and still stands.
pub(super) fn release(
    session: &mut dyn Session,
    key: &MeetingKey,
    token: &str,
) -> Result<bool, StoreError> {
    let Some(Located { meeting, .. }) = locate(session, key)? else {
        return Ok(false);
    };
    let ours = meeting.claim.as_ref().is_some_and(|claim| claim.token == token);
    if ours {
        undo(session, &meeting)?;
    }
    Ok(ours)
}

/// Inserts a meeting that is not there; false if its voice bridge is another one's.
fn insert(session: &mut dyn Session, meeting: &Meeting) -> Result<bool, StoreError> {
    const INSERT: &str = "INSERT INTO meetings (tenant, id, server_id, moderator_pw, voice_bridge, \
        claim_token, claim_until, placed_at, seen_at, reserved, reserved_until, users) VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (voice_bridge) DO NOTHING";
    let claim = meeting.claim.as_ref();
    let values = values![
        tenant(&meeting.key),
        &meeting.key.id,
        &meeting.server.0,
        &meeting.moderator_pw,
        &meeting.voice_bridge,
        claim.map(|claim| claim.token.as_str()),
        claim.map(|claim| claim.until.0),
        meeting.placed_at.0,
        meeting.seen_at.0,
        meeting.seats.reserved,
        meeting.seats.reserved_until.0,
        meeting.seats.users,
    ];
    Ok(session.execute(INSERT, values)? == 1)
}

pub(super) fn place(
    session: &mut dyn Session,
    mut request: PlaceRequest,
) -> Result<Placed, StoreError> {
    if let Some(known) = locate(session, &request.key)? {
        if request.yields_to(&known.meeting) {
            return Ok(Placed::Known(known));
        }
        undo(session, &known.meeting)?;
    }
    let servers = servers::all(session)?;
    let mut server = match choose(&servers, &request.ask) {
        Ok(server) => server.clone(),
        Err(refusal) => return Ok(Placed::Refused(refusal)),
    };
    let numbers = std::mem::take(&mut request.voice_bridges);
    let mut meeting = request.placed_on(server.id.clone(), String::new());
    for number in numbers {
        meeting.voice_bridge = Some(number);
        if insert(session, &meeting)? {
            let seats = f64::from(meeting.seats.taken(meeting.placed_at));
            servers::add_load(session, &server.id, seats)?;
            // As the statement does, without asking for the row again.
            let weight = seats * server.load_multiplier;
            server.load = server.load.map(|load| (load + weight).max(0.0));
            return Ok(Placed::Won(Located { meeting, server }));
        }
    }
    Ok(Placed::NoVoiceBridge)
}

pub(super) fn confirm(
    session: &mut dyn Session,
    meeting: Meeting,
    now: Timestamp,
) -> Result<(), StoreError> {
    const CONFIRM: &str = "UPDATE meetings SET claim_token = NULL, claim_until = NULL, \
        seen_at = ?4 WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    let values = values![tenant(&meeting.key), &meeting.key.id, &meeting.server.0, now.0];
    if session.execute(CONFIRM, values)? == 1 || locate(session, &meeting.key)?.is_some() {
        return Ok(());
    }
    let server = servers::one(session, &meeting.server)?;
    if server.is_none_or(|server| server.state == AdminState::Disabled) {
        return Ok(());
    }
    let mut back = Meeting { claim: None, seen_at: now, ..meeting };
    if !insert(session, &back)? {
        back.voice_bridge = None;
        insert(session, &back)?;
    }
    servers::add_load(session, &back.server, f64::from(back.seats.taken(now)))
}

pub(super) fn restore(session: &mut dyn Session, mut meeting: Meeting) -> Result<bool, StoreError> {
    let has_server = servers::one(session, &meeting.server)?.is_some();
    if !has_server || locate(session, &meeting.key)?.is_some() {
        return Ok(false);
    }
    if !insert(session, &meeting)? {
        meeting.voice_bridge = None;
        insert(session, &meeting)?;
    }
    Ok(true)
}

/// Writes the joins that were counted since the last transaction.
pub(super) fn count_joins(session: &mut dyn Session, counted: &Counted) -> Result<(), StoreError> {
    for (key, (joins, at)) in counted {
        let Some(Located { mut meeting, .. }) = locate(session, key)? else {
            continue;
        };
        let added: u32 = (0..*joins).map(|_| meeting.seats.join(*at)).sum();
        session.execute(
            "UPDATE meetings SET users = ?3 WHERE tenant = ?1 AND id = ?2",
            values![tenant(key), &key.id, meeting.seats.users],
        )?;
        if added > 0 {
            servers::add_load(session, &meeting.server, f64::from(added))?;
        }
    }
    Ok(())
}
