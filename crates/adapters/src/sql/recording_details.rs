//! What the original's tables have no room for, as one text for each recording: nothing in it is
//! searched, and whoever reads a recording reads all of it.

use std::collections::{BTreeMap, HashMap};

use app::ports::StoreError;
use domain::recording::{BreakoutPlace, Recording, RecordingDetails};
use serde::{Deserialize, Serialize};

use super::connection::{SqlConnection, SqlValue, values};

/// The text, in JSON. What is not known is left out.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StoredDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    is_breakout: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakout: Option<StoredBreakout>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    breakout_rooms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_size: Option<i64>,
    /// Bytes by format.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<(String, Option<String>)>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct StoredBreakout {
    parent_id: String,
    sequence: Option<i32>,
    free_join: Option<bool>,
}

impl StoredDetails {
    pub(super) fn from_recording(recording: &Recording) -> Self {
        let RecordingDetails {
            is_breakout,
            breakout,
            breakout_rooms,
            raw_size,
            metadata_edits: edits,
        } = recording.details.clone();
        let place = |BreakoutPlace { parent_id, sequence, free_join }| StoredBreakout {
            parent_id,
            sequence,
            free_join,
        };
        let size = |(format, size): (&String, Option<i64>)| Some((format.clone(), size?));
        let formats = recording.formats.iter().map(|one| (&one.format, one.size));
        let sizes = formats.filter_map(size).collect();
        let breakout = breakout.map(place);
        Self { is_breakout, breakout, breakout_rooms, raw_size, sizes, edits }
    }

    /// Adds it to its recording.
    pub(super) fn apply_to(mut self, recording: &mut Recording) {
        for format in &mut recording.formats {
            format.size = self.sizes.remove(&format.format);
        }
        let place = |StoredBreakout { parent_id, sequence, free_join }| BreakoutPlace {
            parent_id,
            sequence,
            free_join,
        };
        recording.details = RecordingDetails {
            is_breakout: self.is_breakout,
            breakout: self.breakout.map(place),
            breakout_rooms: self.breakout_rooms,
            raw_size: self.raw_size,
            metadata_edits: self.edits,
        };
    }
}

/// Facts by record id, from a statement that finds both.
pub(super) fn read(
    session: &mut dyn SqlConnection,
    sql: &str,
    values: &[SqlValue<'_>],
) -> Result<HashMap<String, StoredDetails>, StoreError> {
    let mut found = HashMap::new();
    session.visit(sql, values, &mut |row| {
        let text: String = row.get(1)?;
        // One row that nobody can read must not hide all others.
        let known = serde_json::from_str(&text).unwrap_or_else(|_| {
            tracing::warn!("what is known of a recording is not readable and taken as nothing");
            StoredDetails::default()
        });
        found.insert(row.get(0)?, known);
        Ok(())
    })?;
    Ok(found)
}

/// Writes what is known of a recording.
pub(super) fn write(
    session: &mut dyn SqlConnection,
    recording: &Recording,
) -> Result<(), StoreError> {
    const WRITE: &str = "INSERT INTO recording_details (record_id, details) VALUES (?1, ?2) \
        ON CONFLICT (record_id) DO UPDATE SET details = excluded.details";
    let known = StoredDetails::from_recording(recording);
    if known == StoredDetails::default() {
        return forget(session, &recording.record_id);
    }
    let text = serde_json::to_string(&known)
        .map_err(|error| StoreError::Corrupt(format!("facts of a recording: {error}")))?;
    session.execute(WRITE, values![&recording.record_id, &text]).map(drop)
}

/// Forgets what is known of a recording.
pub(super) fn forget(session: &mut dyn SqlConnection, record_id: &str) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recording_details WHERE record_id = ?1";
    session.execute(FORGET, values![record_id]).map(drop)
}
