//! Statements about callbacks: the addresses that a front-end wants to be called when a meeting
//! ends or its recording is ready. Tables of the original may hold several rows for a meeting: the
//! newest one counts.

use app::ports::StoreError;
use domain::Timestamp;
use domain::recording::Callback;

use super::connection::{SqlConnection, SqlRow, values};
use super::yaml;

/// Selects callbacks that meet a condition, ordered by meeting.
macro_rules! callbacks {
    ($condition:literal, $limit:literal) => {
        concat!(
            "SELECT c.meeting_id, r.record_id, c.callback_attributes, c.created_at, c.updated_at \
             FROM callback_data c LEFT JOIN recordings r ON r.id = c.recording_id WHERE ",
            $condition,
            " AND NOT EXISTS (SELECT 1 FROM callback_data n \
             WHERE n.meeting_id = c.meeting_id AND n.id > c.id) \
             ORDER BY c.meeting_id COLLATE BINARY LIMIT ",
            $limit
        )
    };
}

fn read_callback(row: &dyn SqlRow) -> Result<Callback, StoreError> {
    let meeting_id: String = row.get(0)?;
    let attributes: Option<String> = row.get(2)?;
    let attributes = yaml::read(attributes.as_deref().unwrap_or_default()).unwrap_or_else(|()| {
        // An unreadable row must not hide all others.
        tracing::warn!("callback of a meeting unreadable: treated as empty");
        Vec::new()
    });
    Ok(Callback {
        meeting_id,
        record_id: row.get(1)?,
        attributes,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

pub(super) fn list_callbacks(
    connection: &mut dyn SqlConnection,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Callback>, StoreError> {
    const FIRST: &str = callbacks!("c.meeting_id IS NOT NULL", "?1");
    const NEXT: &str = callbacks!("c.meeting_id COLLATE BINARY > ?1", "?2");
    match after {
        Some(after) => connection.query(NEXT, values![after, limit], read_callback),
        None => connection.query(FIRST, values![limit], read_callback),
    }
}

pub(super) fn put_callback(
    connection: &mut dyn SqlConnection,
    callback: &Callback,
) -> Result<(), StoreError> {
    // In the original's table this column is narrower than the key that it refers to.
    const UPDATE: &str = "UPDATE callback_data SET callback_attributes = ?2, created_at = ?3, \
        updated_at = ?4, recording_id = CAST((SELECT id FROM recordings WHERE record_id = ?5) \
        AS integer) WHERE id = (SELECT max(id) FROM callback_data WHERE meeting_id = ?1)";
    const INSERT: &str = "INSERT INTO callback_data (meeting_id, callback_attributes, created_at, \
        updated_at, recording_id) VALUES (?1, ?2, ?3, ?4, \
        CAST((SELECT id FROM recordings WHERE record_id = ?5) AS integer))";
    let meeting_id = choose_storage_key(connection, callback)?;
    let attributes = yaml::write(&callback.attributes)?;
    let values = values![
        &meeting_id,
        &attributes,
        callback.created_at,
        callback.updated_at,
        &callback.record_id,
    ];
    if connection.execute(UPDATE, values)? == 0 {
        connection.execute(INSERT, values)?;
    }
    Ok(())
}

const BY_MEETING: &str = callbacks!("c.meeting_id = ?1", "1");

/// Returns the meeting id under which a callback is stored: with the tenant in it if another
/// tenant's callback has the plain id.
fn choose_storage_key(
    connection: &mut dyn SqlConnection,
    callback: &Callback,
) -> Result<String, StoreError> {
    let plain = callback.meeting_id.clone();
    let Some(tenant) = callback.attribute(Callback::TENANT) else {
        return Ok(plain);
    };
    let existing = connection.query_first(BY_MEETING, values![&plain], read_callback)?;
    let is_taken = existing.is_some_and(|existing| !existing.belongs_to(Some(tenant)));
    Ok(if is_taken { Callback::tenant_scoped_id(tenant, &plain) } else { plain })
}

/// Returns the newest callback of a meeting.
pub(super) fn find_by_meeting(
    connection: &mut dyn SqlConnection,
    tenant: Option<&str>,
    meeting_id: &str,
) -> Result<Option<Callback>, StoreError> {
    if let Some(tenant) = tenant {
        let scoped_id = Callback::tenant_scoped_id(tenant, meeting_id);
        let found = connection.query_first(BY_MEETING, values![&scoped_id], read_callback)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let found = connection.query_first(BY_MEETING, values![meeting_id], read_callback)?;
    Ok(found.filter(|found| found.belongs_to(tenant)))
}

/// Stores the key of a recording in the newest callback of its meeting; returns that callback.
pub(super) fn link_recording(
    connection: &mut dyn SqlConnection,
    tenant: Option<&str>,
    meeting_id: &str,
    recording: i64,
    now: Timestamp,
) -> Result<Option<Callback>, StoreError> {
    const LINK: &str = "UPDATE callback_data SET recording_id = CAST(CAST(?2 AS bigint) AS integer), \
        updated_at = ?3 WHERE id = (SELECT max(id) FROM callback_data WHERE meeting_id = ?1)";
    let Some(callback) = find_by_meeting(connection, tenant, meeting_id)? else {
        return Ok(None);
    };
    connection.execute(LINK, values![&callback.meeting_id, recording, now])?;
    connection.query_first(BY_MEETING, values![&callback.meeting_id], read_callback)
}

/// Deletes callbacks that were last changed before that time.
pub(super) fn forget(
    connection: &mut dyn SqlConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    const FORGET: &str = "DELETE FROM callback_data WHERE id IN \
        (SELECT id FROM callback_data WHERE updated_at < ?1 ORDER BY id LIMIT ?2)";
    connection.execute(FORGET, values![before, limit])
}
