//! Statements about pending ends: meetings that must be ended on a server as soon as a poll reports
//! them there.

use app::ports::StoreError;
use domain::poll::PendingEnd;
use domain::{MeetingKey, ServerId, Timestamp};

use super::connection::{SqlConnection, SqlRow, values};
use super::rows::{read_key, tenant_or_empty};

fn read_pending_end(row: &dyn SqlRow) -> Result<PendingEnd, StoreError> {
    Ok(PendingEnd {
        server: ServerId(row.get(0)?),
        key: read_key(row, 1)?,
        moderator_pw: row.get(3)?,
        since: Timestamp(row.get(4)?),
        create_sent_at: Timestamp(row.get(5)?),
        internal_id: row.get(6)?,
    })
}

pub(super) fn list_all(connection: &mut dyn SqlConnection) -> Result<Vec<PendingEnd>, StoreError> {
    const ALL: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at, \
        internal_id FROM pending_ends ORDER BY 1, 2, 3";
    connection.query(ALL, &[], read_pending_end)
}

pub(super) fn list_by_server(
    connection: &mut dyn SqlConnection,
    server: &ServerId,
) -> Result<Vec<PendingEnd>, StoreError> {
    const BY_SERVER: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at, \
        internal_id FROM pending_ends WHERE server_id = ?1 ORDER BY 2, 3";
    connection.query(BY_SERVER, values![&server.0], read_pending_end)
}

pub(super) fn find(
    connection: &mut dyn SqlConnection,
    server: &ServerId,
    key: &MeetingKey,
) -> Result<Option<PendingEnd>, StoreError> {
    const FIND: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at, \
        internal_id FROM pending_ends WHERE server_id = ?1 AND tenant = ?2 AND id = ?3";
    let values = values![&server.0, tenant_or_empty(key), &key.id];
    connection.query_first(FIND, values, read_pending_end)
}

/// Deletes the pending end of a meeting on a server, and returns it.
pub(super) fn take(
    connection: &mut dyn SqlConnection,
    server: &ServerId,
    key: &MeetingKey,
) -> Result<Option<PendingEnd>, StoreError> {
    const TAKE: &str = "DELETE FROM pending_ends WHERE server_id = ?1 AND tenant = ?2 AND id = ?3 \
        RETURNING server_id, tenant, id, moderator_pw, since, create_sent_at, internal_id";
    let values = values![&server.0, tenant_or_empty(key), &key.id];
    connection.query_first(TAKE, values, read_pending_end)
}

/// Stores pending ends on servers that exist. Each is added to one of the same server and meeting.
pub(super) fn put_all(
    connection: &mut dyn SqlConnection,
    pending_ends: &[PendingEnd],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO pending_ends (server_id, tenant, id, moderator_pw, since, \
        create_sent_at, internal_id) SELECT s.id, ?2, ?3, ?4, ?5, ?6, ?7 FROM servers s WHERE s.id = ?1";
    for pending_end in pending_ends {
        let known = find(connection, &pending_end.server, &pending_end.key)?;
        let kept = pending_end.added_to(known.as_ref());
        let PendingEnd { server, key, internal_id, moderator_pw, since, create_sent_at } = &kept;
        forget(connection, server, key)?;
        let values = values![
            &server.0,
            tenant_or_empty(key),
            &key.id,
            moderator_pw,
            since.0,
            create_sent_at.0,
            internal_id,
        ];
        connection.execute(INSERT, values)?;
    }
    Ok(())
}

/// Turns the pending ends of copies of a meeting that somebody ended into ends on request.
pub(super) fn request_copies(
    connection: &mut dyn SqlConnection,
    requested: &PendingEnd,
) -> Result<(), StoreError> {
    const OF_MEETING: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at, \
        internal_id FROM pending_ends WHERE tenant = ?1 AND id = ?2 ORDER BY 1";
    let values = values![tenant_or_empty(&requested.key), &requested.key.id];
    let known = connection.query(OF_MEETING, values, read_pending_end)?;
    let changed = known.iter().filter_map(|end| end.after_request(requested.since));
    put_all(connection, &changed.collect::<Vec<_>>())
}

pub(super) fn forget(
    connection: &mut dyn SqlConnection,
    server: &ServerId,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const FORGET: &str =
        "DELETE FROM pending_ends WHERE server_id = ?1 AND tenant = ?2 AND id = ?3";
    connection.execute(FORGET, values![&server.0, tenant_or_empty(key), &key.id]).map(drop)
}

/// Deletes pending ends that began before a time.
pub(super) fn forget_older(
    connection: &mut dyn SqlConnection,
    before: Timestamp,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM pending_ends WHERE since < ?1", values![before.0]).map(drop)
}
