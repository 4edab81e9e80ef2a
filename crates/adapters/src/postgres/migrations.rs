//! The database schema: our own tables in the schema `scalelite_own`, and the original's tables in
//! `public`, which are used as they are. Nothing that exists is rewritten or dropped. Tables and
//! columns that an original of 2020 lacks are added as the original's own migrations add them, and
//! recorded in its list of migrations.
//!
//! A `scalelite_own` whose version this program does not know is refused and left unchanged.

use app::ports::StoreError;

use super::connection::PgConnection;
use crate::sql::connection::{SqlConnection, SqlRow, values};

/// The steps of our own schema, oldest first. A step that was released is never changed: a later
/// version adds a step.
const STEPS: &[&str] = &[include_str!("schema/version_1.sql")];

/// Begins a transaction that excludes other processes that migrate. The number is the key of our
/// lock.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7235433002)";

/// A table of the original.
struct OriginalTable {
    create: &'static str,
    /// The migration of the original that creates this table and does nothing else.
    migration: Option<&'static str>,
}

const fn original_table(create: &'static str, migration: Option<&'static str>) -> OriginalTable {
    OriginalTable { create, migration }
}

/// The original's tables, in the order of [`SCHEMA_STATE`].
const TABLES: [OriginalTable; 5] = [
    original_table(include_str!("schema/original/recordings.sql"), None),
    original_table(include_str!("schema/original/metadata.sql"), None),
    original_table(include_str!("schema/original/playback_formats.sql"), None),
    original_table(include_str!("schema/original/thumbnails.sql"), None),
    original_table(include_str!("schema/original/callback_data.sql"), Some("20210425184558")),
];

/// Columns that `recordings` of 2020 lacks, with the migrations of the original that add them, in
/// the order of [`SCHEMA_STATE`]. With a constant default PostgreSQL does not rewrite the table.
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

/// Which parts of the schema exist. The table `migrations` is that of an unreleased version of
/// ours.
const SCHEMA_STATE: &str = "SELECT to_regclass('scalelite_own.schema_versions') IS NOT NULL, \
    to_regclass('scalelite_own.migrations') IS NOT NULL, \
    EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('scalelite_own')), \
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

/// The number of columns of [`SCHEMA_STATE`].
const STATE_COLUMNS: usize = 12;

/// The parts of the schema that exist.
struct SchemaState {
    /// The number of our own steps that were applied.
    steps: usize,
    /// For each of [`TABLES`], whether it exists.
    tables: [bool; 5],
    /// For each of [`ADDED_COLUMNS`], whether it exists.
    columns: [bool; 2],
    schema_migrations: bool,
    ar_internal_metadata: bool,
}

impl SchemaState {
    /// Reads the state. Fails if our own schema has a version that this program does not know.
    fn read(connection: &mut dyn SqlConnection) -> Result<Self, StoreError> {
        let read_row =
            |row: &dyn SqlRow| (0..STATE_COLUMNS).map(|column| row.get(column)).collect();
        let exists: Option<Vec<bool>> = connection.query_first(SCHEMA_STATE, &[], read_row)?;
        let Some(&[has_versions, has_old_versions, has_objects, a, b, c, d, e, f, g, h, i]) =
            exists.as_deref()
        else {
            return Err(StoreError::Corrupt(
                "PostgreSQL: the state of the schema is unknown".to_owned(),
            ));
        };
        if has_old_versions || (has_objects && !has_versions) {
            return Err(StoreError::Incompatible(
                "the schema scalelite_own was made by an older, unreleased scalelite or by another \
                 program: rename it or drop it"
                    .to_owned(),
            ));
        }
        Ok(Self {
            steps: if has_versions { read_version(connection)? } else { 0 },
            tables: [a, b, c, d, e],
            columns: [f, g],
            schema_migrations: h,
            ar_internal_metadata: i,
        })
    }

    /// Whether neither the original nor this program has used the database.
    fn is_new(&self) -> bool {
        let bookkeeping = self.schema_migrations || self.ar_internal_metadata;
        !bookkeeping && self.tables == [false; 5]
    }

    fn is_complete(&self) -> bool {
        self.steps == STEPS.len() && self.tables == [true; 5] && self.columns == [true; 2]
    }
}

/// Returns the version of our own schema, which is the number of applied steps.
fn read_version(connection: &mut dyn SqlConnection) -> Result<usize, StoreError> {
    const VERSION: &str = "SELECT coalesce(max(version), 0) FROM scalelite_own.schema_versions";
    let version: Option<i64> = connection.query_first(VERSION, &[], |row| row.get(0))?;
    let version = version.unwrap_or(0);
    match usize::try_from(version) {
        Ok(steps) if steps <= STEPS.len() => Ok(steps),
        _ => Err(StoreError::Incompatible(format!(
            "the database has schema {version}, this program knows {}: use a newer scalelite",
            STEPS.len()
        ))),
    }
}

/// Fails with [`StoreError::NotAdopted`] unless the schema is complete; for read-only stores.
pub(super) fn require_adopted(connection: &mut PgConnection) -> Result<(), StoreError> {
    if SchemaState::read(connection)?.is_complete() { Ok(()) } else { Err(StoreError::NotAdopted) }
}

/// Brings the schema up to date. Processes that start at the same time wait for each other.
pub(super) fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    // Nothing is locked or written if the schema is complete, which is nearly always the case.
    if SchemaState::read(connection)?.is_complete() {
        return Ok(());
    }
    connection.begin(BEGIN)?;
    let result = SchemaState::read(connection).and_then(|state| create_missing(connection, &state));
    let committed = connection.commit();
    result.and(committed)
}

fn create_missing(connection: &mut PgConnection, state: &SchemaState) -> Result<(), StoreError> {
    const RECORD_STEP: &str = "INSERT INTO scalelite_own.schema_versions (version) VALUES (?1)";
    const RECORD_MIGRATION: &str = "INSERT INTO public.schema_migrations (version) VALUES (?1) \
        ON CONFLICT DO NOTHING";
    for (done, step) in STEPS.iter().enumerate().skip(state.steps) {
        connection.execute_batch(step)?;
        connection.execute(RECORD_STEP, values![i64::try_from(done).unwrap_or(i64::MAX) + 1])?;
    }
    let mut performed = Vec::new();
    for (table, _) in TABLES.iter().zip(state.tables).filter(|(_, exists)| !exists) {
        connection.execute_batch(table.create)?;
        performed.extend(table.migration);
    }
    let [has_recordings, ..] = state.tables;
    if has_recordings {
        for ((statement, migration), _) in
            ADDED_COLUMNS.iter().zip(state.columns).filter(|(_, exists)| !exists)
        {
            connection.execute_batch(statement)?;
            performed.push(migration);
        }
    }
    if state.is_new() {
        return connection.execute_batch(include_str!("schema/original/bookkeeping.sql"));
    }
    if state.schema_migrations {
        for migration in performed {
            connection.execute(RECORD_MIGRATION, values![migration])?;
        }
    }
    Ok(())
}
