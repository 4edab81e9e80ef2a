//! Checks of the embedded store for `scalelite doctor`.

use app::ports::{Finding, Inspect, StoreError};
use async_trait::async_trait;
use rusqlite::Connection;

use super::care::find_damage;
use super::{SqliteStore, connect, migrations, to_store_error};

const RESTORE_ADVICE: &str = "stop the balancer and put back a backup of the data directory";

#[async_trait]
impl Inspect for SqliteStore {
    async fn inspect(&self) -> Vec<Finding> {
        type Check = fn(&Connection) -> Result<Finding, StoreError>;
        let checks: [(&str, Check); 4] = [
            ("store: integrity", check_integrity),
            ("store: journal", |connection| check_journal(connection).map_err(to_store_error)),
            ("store: schema", |connection| check_schema(connection).map_err(to_store_error)),
            ("store: size", |connection| check_size(connection).map_err(to_store_error)),
        ];
        let run = |(name, check): (&str, Check)| {
            let connection = connect(&self.database.path);
            let finding = connection.and_then(|connection| check(&connection));
            finding.unwrap_or_else(|error| Finding::fail(name, error.to_string(), RESTORE_ADVICE))
        };
        checks.into_iter().map(run).collect()
    }
}

fn check_integrity(connection: &Connection) -> Result<Finding, StoreError> {
    let check = "store: integrity";
    Ok(match find_damage(connection)? {
        None => Finding::ok(check, "quick_check found no problem"),
        Some(damage) => Finding::fail(check, damage, RESTORE_ADVICE),
    })
}

fn check_journal(connection: &Connection) -> rusqlite::Result<Finding> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let check = "store: journal";
    Ok(match mode.as_str() {
        "wal" => Finding::ok(check, "write-ahead log"),
        other => Finding::warn(
            check,
            format!("journal mode {other}, so that readers wait for writers"),
            "keep the data directory on a local file system",
        ),
    })
}

fn check_schema(connection: &Connection) -> rusqlite::Result<Finding> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let check = "store: schema";
    let newest = migrations::newest_version();
    Ok(if version == newest {
        Finding::ok(check, format!("version {version}, SQLite {}", rusqlite::version()))
    } else {
        let advice = "run the newest scalelite only, on all machines";
        Finding::warn(check, format!("version {version}, this program has {newest}"), advice)
    })
}

fn check_size(connection: &Connection) -> rusqlite::Result<Finding> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let bytes = number("PRAGMA page_count")? * number("PRAGMA page_size")?;
    let kib = bytes.div_euclid(1024);
    Ok(Finding::ok("store: size", format!("{kib} KiB")))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use app::ports::FindingLevel;

    use super::*;

    #[tokio::test]
    async fn a_damaged_page_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("store.db")).unwrap();
        assert!(store.inspect().await.iter().all(|finding| finding.level == FindingLevel::Ok));
        let copy = dir.path().join("copy.db");
        let connection = connect(&store.database.path).unwrap();
        connection.execute("VACUUM INTO ?1", [copy.display().to_string()]).unwrap();
        // The first page stays, so that the file is still a database.
        let mut file = std::fs::OpenOptions::new().write(true).open(&copy).unwrap();
        file.seek(SeekFrom::Start(4096)).unwrap();
        file.write_all(&[0xff; 4096]).unwrap();
        let findings = SqliteStore::open(&copy).unwrap().inspect().await;
        assert_eq!(findings[0].level, FindingLevel::Fail, "{findings:?}");
        assert_eq!(findings[0].advice.as_deref(), Some(RESTORE_ADVICE));
    }
}
