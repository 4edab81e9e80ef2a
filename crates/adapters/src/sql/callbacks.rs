//! Who wants to hear of a meeting's end and recording. Existing tables may hold several rows for a
//! meeting: the newest one counts.

use app::ports::StoreError;
use domain::Timestamp;
use domain::recording::Callback;

use super::session::{Row, Session, values};
use super::yaml;

/// Callbacks of which one thing holds, in order.
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

fn callback(row: &dyn Row) -> Result<Callback, StoreError> {
    let meeting_id: String = row.get(0)?;
    let attributes: Option<String> = row.get(2)?;
    let attributes = yaml::read(attributes.as_deref().unwrap_or_default()).unwrap_or_else(|()| {
        // One row that nobody can read must not hide all others.
        tracing::warn!("the callback of a meeting is not readable and taken as empty");
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

pub(super) fn page(
    session: &mut dyn Session,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Callback>, StoreError> {
    const FIRST: &str = callbacks!("c.meeting_id IS NOT NULL", "?1");
    const NEXT: &str = callbacks!("c.meeting_id COLLATE BINARY > ?1", "?2");
    match after {
        Some(after) => session.query(NEXT, values![after, limit], callback),
        None => session.query(FIRST, values![limit], callback),
    }
}

pub(super) fn put(session: &mut dyn Session, callback: &Callback) -> Result<(), StoreError> {
    // The column is narrower than the key that it refers to; that is how it came to us.
    const UPDATE: &str = "UPDATE callback_data SET callback_attributes = ?2, created_at = ?3, \
        updated_at = ?4, recording_id = CAST((SELECT id FROM recordings WHERE record_id = ?5) \
        AS integer) WHERE id = (SELECT max(id) FROM callback_data WHERE meeting_id = ?1)";
    const INSERT: &str = "INSERT INTO callback_data (meeting_id, callback_attributes, created_at, \
        updated_at, recording_id) VALUES (?1, ?2, ?3, ?4, \
        CAST((SELECT id FROM recordings WHERE record_id = ?5) AS integer))";
    let meeting_id = key_to_write(session, callback)?;
    let attributes = yaml::write(&callback.attributes);
    let values = values![
        &meeting_id,
        &attributes,
        callback.created_at,
        callback.updated_at,
        &callback.record_id,
    ];
    if session.execute(UPDATE, values)? == 0 {
        session.execute(INSERT, values)?;
    }
    Ok(())
}

const OF_MEETING: &str = callbacks!("c.meeting_id = ?1", "1");

/// The id under which a callback is kept.
fn key_to_write(session: &mut dyn Session, callback: &Callback) -> Result<String, StoreError> {
    let plain = callback.meeting_id.clone();
    let Some(tenant) = callback.attribute(Callback::TENANT) else {
        return Ok(plain);
    };
    let there = session.first(OF_MEETING, values![&plain], self::callback)?;
    let is_others = there.is_some_and(|there| !there.is_of(Some(tenant)));
    Ok(if is_others { Callback::apart(tenant, &plain) } else { plain })
}

/// The newest callback of a meeting.
pub(super) fn of_meeting(
    session: &mut dyn Session,
    tenant: Option<&str>,
    meeting_id: &str,
) -> Result<Option<Callback>, StoreError> {
    if let Some(tenant) = tenant {
        let apart = Callback::apart(tenant, meeting_id);
        let found = session.first(OF_MEETING, values![&apart], callback)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let found = session.first(OF_MEETING, values![meeting_id], callback)?;
    Ok(found.filter(|found| found.is_of(tenant)))
}

/// The newest callback of a recording's meeting, which is told its recording.
pub(super) fn of_recording(
    session: &mut dyn Session,
    tenant: Option<&str>,
    meeting_id: &str,
    recording: i64,
    now: Timestamp,
) -> Result<Option<Callback>, StoreError> {
    const TELL: &str = "UPDATE callback_data SET recording_id = CAST(CAST(?2 AS bigint) AS integer), \
        updated_at = ?3 WHERE id = (SELECT max(id) FROM callback_data WHERE meeting_id = ?1)";
    let Some(callback) = of_meeting(session, tenant, meeting_id)? else {
        return Ok(None);
    };
    session.execute(TELL, values![&callback.meeting_id, recording, now])?;
    session.first(OF_MEETING, values![&callback.meeting_id], self::callback)
}
