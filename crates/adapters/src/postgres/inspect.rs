//! A closer look at PostgreSQL, for `scalelite doctor`.

use app::ports::{Clock as _, Finding, Inspect, StoreError};
use async_trait::async_trait;

use super::PgStore;
use super::indexes::are_missing;
use crate::clock_skew::check_clock_skew;
use crate::entropy::SystemClock;
use crate::sql::Database as _;
use crate::sql::connection::SqlConnection;

/// The oldest version whose statements we use.
const MIN_VERSION: i64 = 110_000;

/// What one look at the database tells.
struct DatabaseInfo {
    version: String,
    version_number: i64,
    clock_ms: i64,
    in_recovery: bool,
    migrations: i64,
    recordings: i64,
    lacks_indexes: bool,
}

fn read_info(session: &mut dyn SqlConnection) -> Result<Option<DatabaseInfo>, StoreError> {
    const INFO: &str = "SELECT current_setting('server_version'), \
        current_setting('server_version_num')::bigint, \
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint, pg_is_in_recovery(), \
        (SELECT count(*) FROM public.schema_migrations), \
        (SELECT count(*) FROM public.recordings)";
    let lacks_indexes = are_missing(session)?;
    session.query_first(INFO, &[], |row| {
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
        let before = SystemClock.now();
        let look = match self.database.read(read_info).await {
            Ok(Some(look)) => look,
            Ok(None) => return vec![unreachable_finding("no answer".to_owned())],
            Err(StoreError::NotAdopted) => return vec![not_adopted_finding()],
            Err(error) => return vec![unreachable_finding(error.to_string())],
        };
        let after = SystemClock.now();
        let mut findings = vec![Finding::ok("postgresql: reachable", "it answers")];
        findings.push(check_version(&look));
        findings.push(if look.in_recovery {
            let advice = "point DATABASE_URL at the primary";
            Finding::fail("postgresql: role", "a standby, which cannot be written", advice)
        } else {
            Finding::ok("postgresql: role", "primary")
        });
        findings.push(check_schema(&look));
        findings.push(check_clock_skew("postgresql: clock", look.clock_ms, before.0, after.0));
        findings
    }
}

fn not_adopted_finding() -> Finding {
    let advice = "nothing: the first start of `scalelite serve` does it; make a backup before";
    Finding::warn("postgresql: schema", "the database is not adopted yet", advice)
}

fn unreachable_finding(error: String) -> Finding {
    let advice = "check that PostgreSQL runs, that the database exists, and DATABASE_URL";
    Finding::fail("postgresql: reachable", error, advice)
}

fn check_version(look: &DatabaseInfo) -> Finding {
    let check = "postgresql: version";
    if look.version_number >= MIN_VERSION {
        return Finding::ok(check, look.version.clone());
    }
    Finding::fail(check, look.version.clone(), "PostgreSQL 11 or newer is needed")
}

fn check_schema(look: &DatabaseInfo) -> Finding {
    let check = "postgresql: schema";
    let detail = format!(
        "{} of 6 migrations of the original, {} recordings",
        look.migrations, look.recordings
    );
    if look.lacks_indexes {
        let advice = "nothing, if the balancer was started a moment ago: it builds them; else see \
                      its log";
        return Finding::warn(check, format!("{detail}; indexes are missing"), advice);
    }
    Finding::ok(check, detail)
}
