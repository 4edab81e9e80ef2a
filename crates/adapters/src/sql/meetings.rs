//! Statements about meetings.

use app::ports::{MeetingOnServer, StoreError};
use domain::{Meeting, MeetingKey, MeetingLoad, MeetingOrigin, MeetingUsage, ServerId, Timestamp};

use super::connection::{SqlConnection, values};
use super::rows::{self, meeting_columns, server_columns, tenant_or_empty};
use super::{kept_creates, servers};
use crate::pending_joins::JoinCounts;

pub(super) fn find(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<Option<MeetingOnServer>, StoreError> {
    const FIND: &str = concat!(
        "SELECT ",
        server_columns!(),
        ", ",
        meeting_columns!(),
        " FROM meetings m JOIN servers s ON s.id = m.server_id WHERE m.tenant = ?1 AND m.id = ?2"
    );
    connection.query_first(
        FIND,
        values![tenant_or_empty(key), &key.id],
        rows::read_meeting_on_server,
    )
}

/// Returns the meeting, and the servers on which another tenant's meeting of this id is recorded.
pub(super) fn find_with_same_id(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<(Option<MeetingOnServer>, Vec<ServerId>), StoreError> {
    const SAME_ID: &str = concat!(
        "SELECT ",
        server_columns!(),
        ", ",
        meeting_columns!(),
        " FROM meetings m JOIN servers s ON s.id = m.server_id WHERE m.id = ?1"
    );
    let (mut known, mut others) = (None, Vec::new());
    connection.visit(SAME_ID, values![&key.id], &mut |row| {
        let found = rows::read_meeting_on_server(row)?;
        if found.meeting.key == *key {
            known = Some(found);
        } else {
            others.push(found.server.id);
        }
        Ok(())
    })?;
    Ok((known, others))
}

pub(super) fn list_all(connection: &mut dyn SqlConnection) -> Result<Vec<Meeting>, StoreError> {
    const ALL: &str = concat!("SELECT ", meeting_columns!(), " FROM meetings m ORDER BY 1, 2");
    connection.query(ALL, &[], rows::read_meeting)
}

pub(super) fn list_by_server(
    connection: &mut dyn SqlConnection,
    id: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    const BY_SERVER: &str = concat!(
        "SELECT ",
        meeting_columns!(),
        " FROM meetings m WHERE m.server_id = ?1 ORDER BY 1, 2"
    );
    connection.query(BY_SERVER, values![&id.0], rows::read_meeting)
}

/// Deletes meetings that no server has confirmed since a time, and returns them.
pub(super) fn forget_unseen(
    connection: &mut dyn SqlConnection,
    since: Timestamp,
) -> Result<Vec<Meeting>, StoreError> {
    const UNSEEN: &str =
        concat!("SELECT ", meeting_columns!(), " FROM meetings m WHERE m.seen_at < ?1");
    let unseen = connection.query(UNSEEN, values![since.0], rows::read_meeting)?;
    if !unseen.is_empty() {
        kept_creates::forget_all(connection, &unseen)?;
        connection.execute("DELETE FROM meetings WHERE seen_at < ?1", values![since.0])?;
    }
    Ok(unseen)
}

pub(super) fn forget_by_server(
    connection: &mut dyn SqlConnection,
    server: &ServerId,
) -> Result<Vec<Meeting>, StoreError> {
    let meetings = list_by_server(connection, server)?;
    kept_creates::forget_all(connection, &meetings)?;
    connection.execute("DELETE FROM meetings WHERE server_id = ?1", values![&server.0])?;
    Ok(meetings)
}

pub(super) fn delete(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2";
    kept_creates::forget(connection, key)?;
    connection.execute_later(DELETE, values![tenant_or_empty(key), &key.id])
}

/// Whether a meeting is on this server and was confirmed at another time than `since`.
pub(super) fn was_confirmed(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    server: &ServerId,
    since: Timestamp,
) -> Result<bool, StoreError> {
    let record = find(connection, key)?.map(|found| found.meeting);
    Ok(record.is_some_and(|record| record.server == *server && record.seen_at != since))
}

pub(super) fn forget(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    server: &ServerId,
) -> Result<bool, StoreError> {
    const FORGET: &str = "DELETE FROM meetings WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    let values = values![tenant_or_empty(key), &key.id, &server.0];
    let is_forgotten = connection.execute(FORGET, values)? == 1;
    if is_forgotten {
        kept_creates::forget(connection, key)?;
    }
    Ok(is_forgotten)
}

/// Records that a poll reported a meeting.
pub(super) fn record_seen(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    seen_at: Timestamp,
    load: &MeetingLoad,
    usage: &MeetingUsage,
    origin: &MeetingOrigin,
) -> Result<(), StoreError> {
    const SEEN: &str = "UPDATE meetings SET seen_at = ?3, expected_users = ?4, expected_until = ?5, \
        users = ?6, peak_users = ?7, busy_until = ?8, missed_polls = 0, claim_token = NULL, \
        claim_until = NULL, internal_id = ?9, created_at = ?10, is_proven = ?11, is_adopted = ?12 \
        WHERE tenant = ?1 AND id = ?2";
    let identity = origin.identity.as_ref();
    let values = values![
        tenant_or_empty(key),
        &key.id,
        seen_at.0,
        load.expected_users,
        load.expected_until.0,
        load.users,
        usage.peak_users,
        usage.busy_until.0,
        identity.map(|identity| identity.internal_id.as_str()),
        identity.map(|identity| identity.created_at.0),
        origin.is_proven,
        origin.is_adopted,
    ];
    connection.execute_later(SEEN, values)
}

/// Records that `times` polls in a row did not report a meeting.
pub(super) fn record_missed(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
    times: u32,
) -> Result<(), StoreError> {
    const MISSED: &str = "UPDATE meetings SET missed_polls = ?3 WHERE tenant = ?1 AND id = ?2";
    connection.execute_later(MISSED, values![tenant_or_empty(key), &key.id, times])
}

/// Detaches a meeting, since its server is offline. Other meetings may take its voice bridge.
pub(super) fn detach(
    connection: &mut dyn SqlConnection,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const DETACH: &str = "UPDATE meetings SET detached = ?3, released_voice_bridge = voice_bridge, \
        voice_bridge = NULL WHERE tenant = ?1 AND id = ?2";
    connection.execute_later(DETACH, values![tenant_or_empty(key), &key.id, true])
}

/// Attaches a detached meeting, since its server reports it again. It gets its voice bridge back,
/// unless another meeting has it.
pub(super) fn attach(
    connection: &mut dyn SqlConnection,
    meeting: &Meeting,
) -> Result<(), StoreError> {
    const ATTACH: &str = "UPDATE meetings SET detached = ?3, released_voice_bridge = NULL, \
        voice_bridge = ?4 WHERE tenant = ?1 AND id = ?2";
    let attached = Meeting { detached: false, ..meeting.clone() };
    let attached = with_free_bridge(connection, attached)?;
    let key = &meeting.key;
    connection
        .execute(ATTACH, values![tenant_or_empty(key), &key.id, false, &attached.voice_bridge])
        .map(drop)
}

/// Ends the claim of a meeting that is on this server, and records its origin.
pub(super) fn end_claim(
    connection: &mut dyn SqlConnection,
    meeting: &Meeting,
    origin: &MeetingOrigin,
    now: Timestamp,
) -> Result<(), StoreError> {
    const CONFIRM: &str = "UPDATE meetings SET claim_token = NULL, claim_until = NULL, \
        seen_at = ?4, internal_id = ?5, created_at = ?6, is_proven = ?7, is_adopted = ?8 \
        WHERE tenant = ?1 AND id = ?2 AND server_id = ?3";
    let identity = origin.identity.as_ref();
    let values = values![
        tenant_or_empty(&meeting.key),
        &meeting.key.id,
        &meeting.server.0,
        now.0,
        identity.map(|identity| identity.internal_id.as_str()),
        identity.map(|identity| identity.created_at.0),
        origin.is_proven,
        origin.is_adopted,
    ];
    connection.execute_later(CONFIRM, values)
}

/// Returns the meeting that has a voice bridge.
pub(super) fn find_by_voice_bridge(
    connection: &mut dyn SqlConnection,
    number: &str,
) -> Result<Option<MeetingKey>, StoreError> {
    const BY_VOICE_BRIDGE: &str = "SELECT tenant, id FROM meetings WHERE voice_bridge = ?1";
    connection.query_first(BY_VOICE_BRIDGE, values![number], |row| rows::read_key(row, 0))
}

/// Returns the meeting, without its voice bridge if another meeting has it. A detached meeting only
/// remembers its voice bridge, so it keeps it in any case.
pub(super) fn with_free_bridge(
    connection: &mut dyn SqlConnection,
    mut meeting: Meeting,
) -> Result<Meeting, StoreError> {
    if let Some(number) = meeting.voice_bridge.take_if(|_| !meeting.detached)
        && find_by_voice_bridge(connection, &number)?.is_none_or(|holder| holder == meeting.key)
    {
        meeting.voice_bridge = Some(number);
    }
    Ok(meeting)
}

/// Inserts a meeting that is not recorded; returns false if another meeting has its voice bridge.
pub(super) fn insert(
    connection: &mut dyn SqlConnection,
    meeting: &Meeting,
) -> Result<bool, StoreError> {
    const INSERT: &str = "INSERT INTO meetings (tenant, id, server_id, moderator_pw, voice_bridge, \
        claim_token, claim_until, placed_at, seen_at, expected_users, expected_until, users, \
        peak_users, busy_until, missed_polls, detached, released_voice_bridge, placement_reason, \
        internal_id, created_at, is_proven, is_adopted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
        ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) \
        ON CONFLICT (voice_bridge) DO NOTHING";
    let claim = meeting.claim.as_ref();
    let number = meeting.voice_bridge.as_ref();
    let identity = meeting.origin.identity.as_ref();
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
        identity.map(|identity| identity.internal_id.as_str()),
        identity.map(|identity| identity.created_at.0),
        meeting.origin.is_proven,
        meeting.origin.is_adopted,
    ];
    Ok(connection.execute(INSERT, values)? == 1)
}

/// Writes the joins that were counted since the last transaction. Each count has the time of its
/// last join.
pub(super) fn count_joins(
    connection: &mut dyn SqlConnection,
    counts: &JoinCounts,
) -> Result<(), StoreError> {
    for (key, (joins, joined_at)) in counts {
        let Some(MeetingOnServer { mut meeting, .. }) = find(connection, key)? else {
            continue;
        };
        if meeting.detached {
            continue;
        }
        let added: u32 = (0..*joins).map(|_| meeting.load.add_user(*joined_at)).sum();
        connection.execute_later(
            "UPDATE meetings SET users = ?3 WHERE tenant = ?1 AND id = ?2",
            values![tenant_or_empty(key), &key.id, meeting.load.users],
        )?;
        if added > 0 {
            servers::add_load(connection, &meeting.server, f64::from(added), 0)?;
        }
    }
    Ok(())
}
