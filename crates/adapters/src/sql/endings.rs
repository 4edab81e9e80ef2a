//! Statements about meetings that are not wanted on a server.

use app::ports::StoreError;
use domain::poll::Ending;
use domain::{MeetingKey, ServerId, Timestamp};

use super::rows::{key, tenant};
use super::session::{Row, Session, values};

fn ending(row: &dyn Row) -> Result<Ending, StoreError> {
    Ok(Ending {
        server: ServerId(row.get(0)?),
        key: key(row, 1)?,
        moderator_pw: row.get(3)?,
        since: Timestamp(row.get(4)?),
        asked_at: Timestamp(row.get(5)?),
    })
}

pub(super) fn all(session: &mut dyn Session) -> Result<Vec<Ending>, StoreError> {
    const ALL: &str = "SELECT server_id, tenant, id, moderator_pw, since, asked_at FROM endings \
        ORDER BY 1, 2, 3";
    session.query(ALL, &[], ending)
}

pub(super) fn of_server(
    session: &mut dyn Session,
    server: &ServerId,
) -> Result<Vec<Ending>, StoreError> {
    const OF_SERVER: &str = "SELECT server_id, tenant, id, moderator_pw, since, asked_at FROM endings \
        WHERE server_id = ?1 ORDER BY 2, 3";
    session.query(OF_SERVER, values![&server.0], ending)
}

/// Remembers what is not wanted on servers that are still there.
pub(super) fn remember(session: &mut dyn Session, endings: &[Ending]) -> Result<(), StoreError> {
    const REMEMBER: &str = "INSERT INTO endings (server_id, tenant, id, moderator_pw, since, \
        asked_at) SELECT s.id, ?2, ?3, ?4, ?5, ?6 FROM servers s WHERE s.id = ?1";
    for one in endings {
        forget(session, &one.server, &one.key)?;
        let values = values![
            &one.server.0,
            tenant(&one.key),
            &one.key.id,
            &one.moderator_pw,
            one.since.0,
            one.asked_at.0,
        ];
        session.execute(REMEMBER, values)?;
    }
    Ok(())
}

pub(super) fn forget(
    session: &mut dyn Session,
    server: &ServerId,
    key: &MeetingKey,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM endings WHERE server_id = ?1 AND tenant = ?2 AND id = ?3";
    session.execute(FORGET, values![&server.0, tenant(key), &key.id]).map(drop)
}

/// Forgets those that are older than that.
pub(super) fn sweep(session: &mut dyn Session, since: Timestamp) -> Result<(), StoreError> {
    session.execute("DELETE FROM endings WHERE since < ?1", values![since.0]).map(drop)
}
