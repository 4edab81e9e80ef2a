//! Counts work on recordings that is not finished, and recordings by what became of them.

use app::ports::{
    ArchiveCount, ImportStage, MessageState, MessageTopic, RecordingWork, StoreError,
};
use domain::Timestamp;

use super::connection::{SqlConnection, SqlRow};

/// Counts what is there.
pub(super) fn count(connection: &mut dyn SqlConnection) -> Result<RecordingWork, StoreError> {
    const ARCHIVES: &str = "SELECT stage, count(*), CAST(coalesce(sum(size), 0) AS BIGINT), \
        min(received_at) FROM archive_imports GROUP BY stage";
    const MESSAGES: &str = "SELECT topic, CASE WHEN due_at IS NULL THEN 'given_up' \
        WHEN attempts > 0 THEN 'failing' ELSE 'waiting' END AS progress, count(*) FROM outbox \
        GROUP BY 1, 2";
    const RECORDINGS: &str = "SELECT CASE WHEN state = 'deleted' THEN 'deleted' \
        WHEN published THEN 'published' ELSE 'unpublished' END AS outcome, count(*) \
        FROM recordings WHERE record_id IS NOT NULL GROUP BY 1";
    const OTHERS: &str =
        "SELECT (SELECT count(*) FROM trash), (SELECT count(*) FROM end_callbacks)";
    let mut archives = connection.query(ARCHIVES, &[], read_archives)?;
    archives.sort_by_key(|known| known.stage.name());
    let mut messages = connection.query(MESSAGES, &[], read_messages)?;
    messages.sort_by_key(|(topic, state, _)| (topic.name(), state.name()));
    let read_numbers = |row: &dyn SqlRow| Ok((row.get::<u64>(0)?, row.get::<u64>(1)?));
    let others = connection.query_first(OTHERS, &[], read_numbers)?;
    let (trashed, end_callbacks) = others.unwrap_or_default();
    let mut work =
        RecordingWork { archives, messages, trashed, end_callbacks, ..RecordingWork::default() };
    let read_recordings = |row: &dyn SqlRow| Ok((row.get::<String>(0)?, row.get::<u64>(1)?));
    for (outcome, number) in connection.query(RECORDINGS, &[], read_recordings)? {
        match outcome.as_str() {
            "deleted" => work.deleted = number,
            "published" => work.published = number,
            _ => work.unpublished = number,
        }
    }
    Ok(work)
}

fn read_archives(row: &dyn SqlRow) -> Result<ArchiveCount, StoreError> {
    let stage: String = row.get(0)?;
    let stage = ImportStage::from_name(&stage)
        .ok_or_else(|| StoreError::Corrupt("an archive has an unknown stage".to_owned()))?;
    let oldest = Timestamp(row.get(3)?);
    Ok(ArchiveCount { stage, archives: row.get(1)?, bytes: row.get(2)?, oldest })
}

fn read_messages(row: &dyn SqlRow) -> Result<(MessageTopic, MessageState, u64), StoreError> {
    let (topic, state): (String, String) = (row.get(0)?, row.get(1)?);
    let topic = MessageTopic::from_name(&topic)
        .ok_or_else(|| StoreError::Corrupt("a message has an unknown topic".to_owned()))?;
    let state = MessageState::ALL.into_iter().find(|known| known.name() == state);
    Ok((topic, state.unwrap_or(MessageState::Waiting), row.get(2)?))
}
