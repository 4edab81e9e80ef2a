//! Checks of PostgreSQL for `scalelite doctor`.

use app::blocking::STORE_CHECKS;
use app::ports::{Clock as _, Finding, Inspect, StoreError};
use async_trait::async_trait;

use super::PgStore;
use super::indexes::are_missing;
use super::pooler;
use crate::clock_skew::check_clock_skew;
use crate::entropy::SystemClock;
use crate::sql::Database as _;
use crate::sql::connection::SqlConnection;

/// The oldest supported version of PostgreSQL.
const MIN_VERSION: i64 = 110_000;

/// Facts about the database, read by one statement.
struct DatabaseInfo {
    version: String,
    version_number: i64,
    clock_ms: i64,
    in_recovery: bool,
    migrations: i64,
    recordings: i64,
    lacks_indexes: bool,
}

fn read_info(connection: &mut dyn SqlConnection) -> Result<Option<DatabaseInfo>, StoreError> {
    const INFO: &str = "SELECT current_setting('server_version'), \
        current_setting('server_version_num')::bigint, \
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_is_in_recovery(), \
        (SELECT count(*) FROM public.schema_migrations), \
        (SELECT count(*) FROM public.recordings)";
    let lacks_indexes = are_missing(connection)?;
    connection.query_first(INFO, &[], |row| {
        Ok(DatabaseInfo {
            version: row.get(0)?,
            version_number: row.get(1)?,
            clock_ms: row.get(2)?,
            in_recovery: row.get(3)?,
            migrations: row.get(4)?,
            recordings: row.get(5)?,
            lacks_indexes,
        })
    })
}

#[async_trait]
impl Inspect for PgStore {
    async fn inspect(&self) -> Vec<Finding> {
        if let Some(finding) = self.check_pooler().await {
            return vec![finding];
        }
        let before = SystemClock.now();
        let info = match self.database.read(read_info).await {
            Ok(Some(info)) => info,
            Ok(None) => return vec![unreachable_finding("no response".to_owned())],
            Err(StoreError::NotAdopted) => return vec![not_adopted_finding()],
            Err(error) => return vec![unreachable_finding(error.to_string())],
        };
        let after = SystemClock.now();
        let mut findings = vec![Finding::ok("postgresql: reachable", "it responds")];
        findings.push(check_version(&info));
        findings.push(if info.in_recovery {
            let advice = "point DATABASE_URL at the primary";
            Finding::fail("postgresql: role", "a standby, which is read-only", advice)
        } else {
            Finding::ok("postgresql: role", "primary")
        });
        findings.push(check_schema(&info));
        findings.push(check_clock_skew("postgresql: clock", info.clock_ms, before.0, after.0));
        findings
    }
}

impl PgStore {
    /// Returns what is wrong if a pooler takes the sessions of connections. Then no other check can be trusted.
    async fn check_pooler(&self) -> Option<Finding> {
        let connector = self.database.connector.clone();
        let loses_sessions = STORE_CHECKS.run(move || pooler::loses_sessions(&connector)).await;
        matches!(loses_sessions, Ok(Ok(true)))
            .then(|| Finding::fail("postgresql: pooler", pooler::FOUND, pooler::ADVICE))
    }
}

fn not_adopted_finding() -> Finding {
    let advice =
        "nothing: the first start of `scalelite serve` adopts it; make a backup before that";
    Finding::warn("postgresql: schema", "the database is not adopted yet", advice)
}

fn unreachable_finding(error: String) -> Finding {
    let advice = "check that PostgreSQL runs, that the database exists, and DATABASE_URL";
    Finding::fail("postgresql: reachable", error, advice)
}

fn check_version(info: &DatabaseInfo) -> Finding {
    let check = "postgresql: version";
    if info.version_number >= MIN_VERSION {
        return Finding::ok(check, info.version.clone());
    }
    Finding::fail(check, info.version.clone(), "PostgreSQL 11 or newer is needed")
}

fn check_schema(info: &DatabaseInfo) -> Finding {
    let check = "postgresql: schema";
    let detail = format!(
        "{} of 6 migrations of the original, {} recordings",
        info.migrations, info.recordings
    );
    if info.lacks_indexes {
        let advice = "nothing if the balancer was started just now: it builds them; otherwise see its \
                      log";
        return Finding::warn(check, format!("{detail}; indexes are missing"), advice);
    }
    Finding::ok(check, detail)
}
