//! The schema: our tables in a schema of our own, and those of existing deployments, which are
//! adopted as they are. Nothing that exists is created, rewritten or dropped; what a table of 2020
//! lacks is added as the original's own migrations do it, and noted as done in their list.

use app::ports::StoreError;

use super::connection::PgConnection;
use crate::sql::connection::{SqlConnection, SqlRow, values};

/// Our own steps. One that was released is never changed: what is needed later is a further step.
const STEPS: &[&str] = &[
    include_str!("schema/1_shared.sql"),
    include_str!("schema/2_health_and_history.sql"),
    include_str!("schema/3_library.sql"),
    include_str!("schema/4_endings.sql"),
    include_str!("schema/5_trash.sql"),
];

/// The key of the lock that keeps two processes from migrating at the same time.
const LOCK: &str = "BEGIN; SELECT pg_advisory_xact_lock(7235433002)";

/// Tables of existing deployments.
struct OriginalTable {
    create: &'static str,
    /// The original's migration that creates it, if that is all it does.
    migration: Option<&'static str>,
}

const fn original_table(create: &'static str, migration: Option<&'static str>) -> OriginalTable {
    OriginalTable { create, migration }
}

/// In the order in which [`LOOK`] finds them.
const TABLES: [OriginalTable; 5] = [
    original_table(include_str!("schema/recordings.sql"), None),
    original_table(include_str!("schema/metadata.sql"), None),
    original_table(include_str!("schema/playback_formats.sql"), None),
    original_table(include_str!("schema/thumbnails.sql"), None),
    original_table(include_str!("schema/callback_data.sql"), Some("20210425184558")),
];

/// Columns that `recordings` of 2020 lacks, and the original's migrations that add them. With a
/// constant default nothing is rewritten.
const ADDED_COLUMNS: [(&str, &str); 2] = [
    (
        "ALTER TABLE public.recordings ADD COLUMN protected boolean NOT NULL DEFAULT false",
        "20210630205630",
    ),
    (
        "ALTER TABLE public.recordings ADD COLUMN publish_updated boolean NOT NULL DEFAULT false",
        "20210725200414",
    ),
];

const SCHEMA_STATE: &str = "SELECT to_regclass('scalelite_own.migrations') IS NOT NULL, \
    to_regclass('public.recordings') IS NOT NULL, to_regclass('public.metadata') IS NOT NULL, \
    to_regclass('public.playback_formats') IS NOT NULL, \
    to_regclass('public.thumbnails') IS NOT NULL, \
    to_regclass('public.callback_data') IS NOT NULL, \
    EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('public.recordings') \
        AND attname = 'protected' AND NOT attisdropped), \
    EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('public.recordings') \
        AND attname = 'publish_updated' AND NOT attisdropped), \
    to_regclass('public.schema_migrations') IS NOT NULL, \
    to_regclass('public.ar_internal_metadata') IS NOT NULL";

/// What is there.
struct SchemaState {
    steps: usize,
    tables: [bool; 5],
    columns: [bool; 2],
    schema_migrations: bool,
    ar_internal_metadata: bool,
}

impl SchemaState {
    fn read(session: &mut PgConnection) -> Result<Self, StoreError> {
        const VERSION: &str = "SELECT coalesce(max(version), 0) FROM scalelite_own.migrations";
        let session: &mut dyn SqlConnection = session;
        let of_row = |row: &dyn SqlRow| (0..10).map(|column| row.get(column)).collect();
        let answer: Option<Vec<bool>> = session.query_first(SCHEMA_STATE, &[], of_row)?;
        let Some(&[ours, a, b, c, d, e, f, g, schema_migrations, ar_internal_metadata]) =
            answer.as_deref()
        else {
            return Err(StoreError::Corrupt("PostgreSQL: no answer to a look".to_owned()));
        };
        let version: Option<i64> =
            if ours { session.query_first(VERSION, &[], |row| row.get(0))? } else { None };
        let steps = usize::try_from(version.unwrap_or(0)).unwrap_or(usize::MAX);
        let (tables, columns) = ([a, b, c, d, e], [f, g]);
        Ok(Self { steps, tables, columns, schema_migrations, ar_internal_metadata })
    }

    fn is_new(&self) -> bool {
        let bookkeeping = self.schema_migrations || self.ar_internal_metadata;
        !bookkeeping && self.tables == [false; 5]
    }

    fn is_complete(&self) -> bool {
        self.steps == STEPS.len() && self.tables == [true; 5] && self.columns == [true; 2]
    }
}

/// Whether the schema is up to date, for those who may not bring it there.
pub(super) fn require_adopted(session: &mut PgConnection) -> Result<(), StoreError> {
    if SchemaState::read(session)?.is_complete() { Ok(()) } else { Err(StoreError::NotAdopted) }
}

/// Brings the schema up to date, whoever else starts at the same time.
pub(super) fn migrate(session: &mut PgConnection) -> Result<(), StoreError> {
    // Nearly always there is nothing to do, and then nothing is written or locked.
    let found = SchemaState::read(session)?;
    if found.steps > STEPS.len() {
        let (has, knows) = (found.steps, STEPS.len());
        return Err(StoreError::Corrupt(format!(
            "the database has schema {has}, this version knows up to {knows}: \
             use a newer scalelite"
        )));
    }
    if found.is_complete() {
        return Ok(());
    }
    session.begin(LOCK)?;
    let made = SchemaState::read(session).and_then(|found| create_missing(session, &found));
    let committed = session.commit();
    made.and(committed)
}

fn create_missing(session: &mut PgConnection, found: &SchemaState) -> Result<(), StoreError> {
    const RECORD: &str = "INSERT INTO scalelite_own.migrations (version) VALUES (?1)";
    if found.steps == 0 {
        session.execute_batch(include_str!("schema/0_ours.sql"))?;
    }
    for (done, step) in STEPS.iter().enumerate().skip(found.steps) {
        session.execute_batch(step)?;
        session.execute(RECORD, values![i64::try_from(done).unwrap_or(i64::MAX) + 1])?;
    }
    let mut performed = Vec::new();
    for (table, _) in TABLES.iter().zip(found.tables).filter(|(_, there)| !there) {
        session.execute_batch(table.create)?;
        performed.extend(table.migration);
    }
    let [has_recordings, ..] = found.tables;
    if has_recordings {
        for ((add, migration), _) in
            ADDED_COLUMNS.iter().zip(found.columns).filter(|(_, there)| !there)
        {
            session.execute_batch(add)?;
            performed.push(migration);
        }
    }
    if found.is_new() {
        return session.execute_batch(include_str!("schema/bookkeeping.sql"));
    }
    if found.schema_migrations {
        const DONE: &str = "INSERT INTO public.schema_migrations (version) VALUES (?1) \
            ON CONFLICT DO NOTHING";
        for migration in performed {
            session.execute(DONE, values![migration])?;
        }
    }
    Ok(())
}
