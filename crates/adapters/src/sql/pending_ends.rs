//! Statements about meetings that are not wanted on a server.

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
    })
}

pub(super) fn list_all(session: &mut dyn SqlConnection) -> Result<Vec<PendingEnd>, StoreError> {
    const ALL: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at FROM pending_ends \
        ORDER BY 1, 2, 3";
    session.query(ALL, &[], read_pending_end)
}

pub(super) fn list_by_server(
    session: &mut dyn SqlConnection,
    server: &ServerId,
) -> Result<Vec<PendingEnd>, StoreError> {
    const BY_SERVER: &str = "SELECT server_id, tenant, id, moderator_pw, since, create_sent_at FROM pending_ends \
        WHERE server_id = ?1 ORDER BY 2, 3";
    session.query(BY_SERVER, values![&server.0], read_pending_end)
}

/// Remembers what is not wanted on servers that are still there.
pub(super) fn put_all(
    session: &mut dyn SqlConnection,
    endings: &[PendingEnd],
) -> Result<(), StoreError> {
    const INSERT: &str = "INSERT INTO pending_ends (server_id, tenant, id, moderator_pw, since, \
        create_sent_at) SELECT s.id, ?2, ?3, ?4, ?5, ?6 FROM servers s WHERE s.id = ?1";
    for one in endings {
        forget(session, &one.server, &one.key)?;
        let values = values![
            &one.server.0,
            tenant_or_empty(&one.key),
            &one.key.id,
            &one.moderator_pw,
            one.since.0,
            one.create_sent_at.0,
        ];
        session.execute(INSERT, values)?;
    }
    Ok(())
}

pub(super) fn forget(
    session: &mut dyn SqlConnection,
    server: &ServerId,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const FORGET: &str =
        "DELETE FROM pending_ends WHERE server_id = ?1 AND tenant = ?2 AND id = ?3";
    session.execute(FORGET, values![&server.0, tenant_or_empty(key), &key.id]).map(drop)
}

/// Forgets those that are older than that.
pub(super) fn forget_older(
    session: &mut dyn SqlConnection,
    since: Timestamp,
) -> Result<(), StoreError> {
    session.execute("DELETE FROM pending_ends WHERE since < ?1", values![since.0]).map(drop)
}
