//! A sample of the recordings in a database of the original, whether it has been adopted or not. Only reads.

use app::ports::StoreError;

use super::address::PgOptions;
use super::connector::Connector;
use crate::sql::connection::{SqlConnection, values};

/// A recording of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledRecording {
    /// Its id.
    pub record_id: String,
    /// Whether its files belong to the published ones.
    pub is_published: bool,
    /// The names of its formats.
    pub formats: Vec<String>,
}

/// What a database of the original holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginalDatabase {
    /// Whether this program has adopted it.
    pub is_adopted: bool,
    /// The number of recordings that are not deleted.
    pub recordings: u64,
    /// Some of them, from all over the table.
    pub sample: Vec<SampledRecording>,
}

/// Reads a sample of this size. `None` if the database has no tables of the original. Blocks.
///
/// # Errors
/// When the database cannot be read.
pub fn read_original(
    options: &PgOptions,
    sample_size: u32,
) -> Result<Option<OriginalDatabase>, StoreError> {
    const TABLES: &str = "SELECT to_regclass('public.recordings') IS NOT NULL \
        AND to_regclass('public.playback_formats') IS NOT NULL, \
        to_regclass('scalelite_own.schema_versions') IS NOT NULL";
    const COUNT: &str =
        "SELECT count(*) FROM public.recordings WHERE state IS DISTINCT FROM 'deleted'";
    const SAMPLE: &str = "SELECT chosen.record_id::text, coalesce(chosen.published, FALSE), \
        coalesce((SELECT string_agg(f.format, '/' ORDER BY f.format) FROM public.playback_formats f \
            WHERE f.recording_id = chosen.id), '') \
        FROM (SELECT id, record_id, published FROM public.recordings \
            WHERE state IS DISTINCT FROM 'deleted' ORDER BY md5(record_id) LIMIT ?1::bigint) chosen \
        ORDER BY 1";
    let options = PgOptions { read_only: true, ..options.clone() };
    let mut connection = Connector::new(&options)?.connect()?;
    let connection: &mut dyn SqlConnection = &mut connection;
    let tables = connection.query_first(TABLES, &[], |row| {
        Ok::<(bool, bool), StoreError>((row.get(0)?, row.get(1)?))
    })?;
    let (has_tables, is_adopted) = tables.unwrap_or_default();
    if !has_tables {
        return Ok(None);
    }
    let recordings: Option<i64> = connection.query_first(COUNT, &[], |row| row.get(0))?;
    let mut sample = Vec::new();
    connection.visit(SAMPLE, values![i64::from(sample_size)], &mut |row| {
        let formats: String = row.get(2)?;
        sample.push(SampledRecording {
            record_id: row.get(0)?,
            is_published: row.get(1)?,
            formats: formats
                .split('/')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        });
        Ok(())
    })?;
    let recordings = recordings.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    Ok(Some(OriginalDatabase { is_adopted, recordings, sample }))
}
