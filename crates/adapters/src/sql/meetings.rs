//! Statements about meetings, and what joins found of them.

use app::ports::{MeetingOnServer, StoreError};
use domain::{Meeting, MeetingKey, MeetingLoad, MeetingUsage, ServerId, Timestamp};

use super::connection::{SqlConnection, values};
use super::rows::{self, meeting_columns, server_columns, tenant_or_empty};
use super::servers;
use crate::pending_joins::JoinCounts;

pub(super) fn find(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<Option<MeetingOnServer>, StoreError> {
    const FIND: &str = concat!(
        "SELECT ",
        server_columns!(),
        ", ",
        meeting_columns!(),
        " FROM meetings m JOIN servers s ON s.id = m.server_id WHERE m.tenant = ?1 AND m.id = ?2"
    );
    session.query_first(FIND, values![tenant_or_empty(key), &key.id], rows::read_meeting_on_server)
}

pub(super) fn list_all(session: &mut dyn SqlConnection) -> Result<Vec<Meeting>, StoreError> {
    const ALL: &str = concat!("SELECT ", meeting_columns!(), " FROM meetings m ORDER BY 1, 2");
    session.query(ALL, &[], rows::read_meeting)
}

pub(super) fn list_by_server(
    session: &mut dyn SqlConnection,
    id: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    const BY_SERVER: &str = concat!(
        "SELECT ",
        meeting_columns!(),
        " FROM meetings m WHERE m.server_id = ?1 ORDER BY 1, 2"
    );
    session.query(BY_SERVER, values![&id.0], rows::read_meeting)
}

/// The servers of meetings of that id that are another tenant's.
pub(super) fn list_servers_of_other_tenants(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<Vec<ServerId>, StoreError> {
    const OTHER_TENANTS: &str = "SELECT server_id FROM meetings WHERE id = ?1 AND tenant <> ?2";
    session.query(OTHER_TENANTS, values![&key.id, tenant_or_empty(key)], |row| {
        Ok(ServerId(row.get(0)?))
    })
}

/// Deletes meetings that no server has confirmed since then.
pub(super) fn forget_unseen(
    session: &mut dyn SqlConnection,
    since: Timestamp,
) -> Result<Vec<Meeting>, StoreError> {
    const UNSEEN: &str =
        concat!("SELECT ", meeting_columns!(), " FROM meetings m WHERE m.seen_at < ?1");
    let unseen = session.query(UNSEEN, values![since.0], rows::read_meeting)?;
    if !unseen.is_empty() {
        session.execute("DELETE FROM meetings WHERE seen_at < ?1", values![since.0])?;
    }
    Ok(unseen)
}

pub(super) fn forget_by_server(
    session: &mut dyn SqlConnection,
    server: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    let meetings = list_by_server(session, server)?;
    session.execute("DELETE FROM meetings WHERE server_id = ?1", values![&server.0])?;
    Ok(meetings)
}

pub(super) fn delete(session: &mut dyn SqlConnection, key: &MeetingKey) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2";
    session.execute(DELETE, values![tenant_or_empty(key), &key.id]).map(drop)
}

/// Whether a meeting on that server was confirmed since then.
pub(super) fn was_confirmed(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
    server: &ServerId,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let record = find(session, key)?.map(|located| located.meeting);
    Ok(record.is_some_and(|record| record.server == *server && record.seen_at != since))
}

pub(super) fn forget(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
    server: &ServerId,
) -> Result<bool, StoreError> {
    const FORGET: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    Ok(session.execute(FORGET, values![tenant_or_empty(key), &key.id, &server.0])? == 1)
}

/// A poll has seen it.
pub(super) fn record_seen(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
    at: Timestamp,
    seats: &MeetingLoad,
    course: &MeetingUsage,
) -> Result<(), StoreError> {
    const SEEN: &str = "UPDATE meetings SET seen_at = ?3, expected_users = ?4, expected_until = ?5, \
        users = ?6, peak_users = ?7, busy_until = ?8, missed_polls = 0, claim_token = NULL, \
        claim_until = NULL WHERE tenant = ?1 AND id = ?2";
    let values = values![
        tenant_or_empty(key),
        &key.id,
        at.0,
        seats.expected_users,
        seats.expected_until.0,
        seats.users,
        course.peak_users,
        course.busy_until.0,
    ];
    session.execute(SEEN, values).map(drop)
}

/// A poll has not seen it, so many times in a row.
pub(super) fn record_missed(
    session: &mut dyn SqlConnection,
    key: &MeetingKey,
    times: u32,
) -> Result<(), StoreError> {
    const MISSED: &str = "UPDATE meetings SET missed_polls = ?3 WHERE tenant = ?1 AND id = ?2";
    session.execute(MISSED, values![tenant_or_empty(key), &key.id, times]).map(drop)
}

/// Its server is offline: others may take its number.
pub(super) fn detach(session: &mut dyn SqlConnection, key: &MeetingKey) -> Result<(), StoreError> {
    const DETACH: &str = "UPDATE meetings SET detached = ?3, released_voice_bridge = voice_bridge, \
        voice_bridge = NULL WHERE tenant = ?1 AND id = ?2";
    session.execute(DETACH, values![tenant_or_empty(key), &key.id, true]).map(drop)
}

/// Its server is back with it; so is its number, unless it is another one's by now.
pub(super) fn attach(session: &mut dyn SqlConnection, meeting: &Meeting) -> Result<(), StoreError> {
    const ATTACH: &str = "UPDATE meetings SET detached = ?3, released_voice_bridge = NULL, \
        voice_bridge = ?4 WHERE tenant = ?1 AND id = ?2";
    let back = with_free_bridge(session, Meeting { detached: false, ..meeting.clone() })?;
    let key = &meeting.key;
    session
        .execute(ATTACH, values![tenant_or_empty(key), &key.id, false, &back.voice_bridge])
        .map(drop)
}

/// Ends the claim of a meeting that is on this server.
pub(super) fn end_claim(
    session: &mut dyn SqlConnection,
    meeting: &Meeting,
    now: Timestamp,
) -> Result<(), StoreError> {
    const CONFIRM: &str = "UPDATE meetings SET claim_token = NULL, claim_until = NULL, \
        seen_at = ?4 WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    let values = values![tenant_or_empty(&meeting.key), &meeting.key.id, &meeting.server.0, now.0];
    session.execute(CONFIRM, values).map(drop)
}

/// The meeting that holds a number.
pub(super) fn find_by_voice_bridge(
    session: &mut dyn SqlConnection,
    number: &str,
) -> Result<Option<MeetingKey>, StoreError> {
    const BY_VOICE_BRIDGE: &str = "SELECT tenant, id FROM meetings WHERE voice_bridge = ?1";
    session.query_first(BY_VOICE_BRIDGE, values![number], |row| rows::read_key(row, 0))
}

/// The meeting, without its voice bridge if that is another one's by now. A detached one holds none,
/// and may know one that is another's.
pub(super) fn with_free_bridge(
    session: &mut dyn SqlConnection,
    mut meeting: Meeting,
) -> Result<Meeting, StoreError> {
    if let Some(number) = meeting.voice_bridge.take_if(|_| !meeting.detached)
        && find_by_voice_bridge(session, &number)?.is_none_or(|holder| holder == meeting.key)
    {
        meeting.voice_bridge = Some(number);
    }
    Ok(meeting)
}

/// Inserts a meeting that is not there; false if its voice bridge is another one's.
pub(super) fn insert(
    session: &mut dyn SqlConnection,
    meeting: &Meeting,
) -> Result<bool, StoreError> {
    const INSERT: &str = "INSERT INTO meetings (tenant, id, server_id, moderator_pw, voice_bridge, \
        claim_token, claim_until, placed_at, seen_at, expected_users, expected_until, users, peak_users, \
        busy_until, missed_polls, detached, released_voice_bridge, placement_reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
        ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT (voice_bridge) DO NOTHING";
    let claim = meeting.claim.as_ref();
    let number = meeting.voice_bridge.as_ref();
    let values = values![
        tenant_or_empty(&meeting.key),
        &meeting.key.id,
        &meeting.server.0,
        &meeting.moderator_pw,
        number.filter(|_| !meeting.detached),
        claim.map(|claim| claim.token.as_str()),
        claim.map(|claim| claim.until.0),
        meeting.placed_at.0,
        meeting.seen_at.0,
        meeting.load.expected_users,
        meeting.load.expected_until.0,
        meeting.load.users,
        meeting.usage.peak_users,
        meeting.usage.busy_until.0,
        meeting.missed_polls,
        meeting.detached,
        number.filter(|_| meeting.detached),
        &meeting.placement_reason,
    ];
    Ok(session.execute(INSERT, values)? == 1)
}

/// Writes the joins that were counted since the last transaction.
pub(super) fn count_joins(
    session: &mut dyn SqlConnection,
    counted: &JoinCounts,
) -> Result<(), StoreError> {
    for (key, (joins, at)) in counted {
        let Some(MeetingOnServer { mut meeting, .. }) = find(session, key)? else {
            continue;
        };
        if meeting.detached {
            continue;
        }
        let added: u32 = (0..*joins).map(|_| meeting.load.add_user(*at)).sum();
        session.execute(
            "UPDATE meetings SET users = ?3 WHERE tenant = ?1 AND id = ?2",
            values![tenant_or_empty(key), &key.id, meeting.load.users],
        )?;
        if added > 0 {
            servers::add_load(session, &meeting.server, f64::from(added), 0)?;
        }
    }
    Ok(())
}
