//! The schema of the embedded store, as the steps that led to it. A step, once released, is never
//! changed: what a newer version needs is a further step.

use app::ports::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use super::to_store_error;

const STEPS: &[&str] = &[
    // 1: servers and meetings.
    "CREATE TABLE servers (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        url TEXT NOT NULL,
        secret TEXT NOT NULL,
        tag TEXT,
        state TEXT NOT NULL CHECK (state IN ('enabled', 'cordoned', 'disabled')),
        online INTEGER NOT NULL,
        healthy_count INTEGER NOT NULL,
        unhealthy_count INTEGER NOT NULL,
        failure_at INTEGER,
        failure_reason TEXT,
        load REAL,
        load_multiplier REAL NOT NULL CHECK (load_multiplier > 0),
        meetings INTEGER NOT NULL,
        users INTEGER NOT NULL,
        largest_meeting INTEGER NOT NULL,
        videos INTEGER NOT NULL,
        bbb_version TEXT
    ) STRICT;
    CREATE TABLE meetings (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
        moderator_pw TEXT,
        voice_bridge TEXT UNIQUE,
        claim_token TEXT,
        claim_until INTEGER,
        placed_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        reserved INTEGER NOT NULL,
        reserved_until INTEGER NOT NULL,
        users INTEGER NOT NULL,
        PRIMARY KEY (tenant, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX meetings_by_server ON meetings (server_id);
    CREATE INDEX meetings_by_seen_at ON meetings (seen_at);
    CREATE TABLE probe (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL) STRICT;",
    // 2: what replicas share besides, and recordings with the columns of existing deployments.
    include_str!("2_shared_and_recordings.sql"),
    // 3: what placement and failover know.
    include_str!("3_health_and_history.sql"),
    // 4: the library of recordings, messages and archives.
    include_str!("4_library.sql"),
    // 5: when what is not wanted was asked for, and the other tenants' meetings of an id.
    "ALTER TABLE endings ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX meetings_by_id ON meetings (id);",
    // 6: deleted recordings that can be brought back.
    include_str!("6_trash.sql"),
];

/// The version that this program brings databases to.
pub(super) fn newest_version() -> i64 {
    STEPS.len() as i64
}

/// Brings a database to the newest schema, once, whoever else starts at the same time.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Nearly always there is nothing to do, and then nothing is written: a full disk or a busy
    // store must not keep anybody from looking.
    if count_steps_done(connection)? == STEPS.len() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(to_store_error)?;
    for step in &STEPS[count_steps_done(&transaction)?..] {
        transaction.execute_batch(step).map_err(to_store_error)?;
    }
    transaction.pragma_update(None, "user_version", newest_version()).map_err(to_store_error)?;
    transaction.commit().map_err(to_store_error)
}

fn count_steps_done(connection: &Connection) -> Result<usize, StoreError> {
    let version: i64 = connection
        .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
        .map_err(to_store_error)?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(StoreError::Corrupt(format!(
            "the database has schema {version}, this version knows up to {}: use a newer scalelite",
            STEPS.len()
        )));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use app::ports::PoolStore as _;

    use super::super::SqliteStore;
    use super::*;

    #[tokio::test]
    async fn a_store_of_the_last_release_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        let old = Connection::open(&path).unwrap();
        for step in &STEPS[..2] {
            old.execute_batch(step).unwrap();
        }
        old.execute_batch(
            "INSERT INTO servers (id, url, secret, state, online, healthy_count, unhealthy_count, \
             load, load_multiplier, meetings, users, largest_meeting, videos) VALUES \
             ('a', 'u', 's', 'enabled', 1, 0, 0, 15.0, 1.0, 0, 0, 0, 0); \
             INSERT INTO meetings (tenant, id, server_id, voice_bridge, placed_at, seen_at, \
             reserved, reserved_until, users) VALUES ('', 'm', 'a', '11111', 1, 2, 15, 3, 4)",
        )
        .unwrap();
        old.pragma_update(None, "user_version", 2).unwrap();
        drop(old);
        let store = SqliteStore::open(&path).unwrap();
        let (servers, meetings) =
            (store.list_servers().await.unwrap(), store.list_meetings(None).await.unwrap());
        assert_eq!((servers[0].load, servers[0].placed_since_poll), (Some(15.0), 0));
        assert_eq!(servers[0].limits, domain::ServerLimits::default());
        assert_eq!(meetings[0].voice_bridge.as_deref(), Some("11111"));
        assert!(!meetings[0].detached);
    }
}
