//! The details of recordings that have no column in the original's tables, as one JSON text for
//! each recording: they are never searched, and are always read as a whole.

use std::collections::{BTreeMap, HashMap};

use app::ports::StoreError;
use domain::recording::{BreakoutPlace, Recording, RecordingDetails};
use serde::{Deserialize, Serialize};

use super::connection::{SqlConnection, SqlValue, values};

/// The details as stored in JSON. Unknown details are left out.
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
    /// The size of each format in bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sizes: BTreeMap<String, i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<(String, Option<String>)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metadata_formats: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded_by: Option<String>,
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
            metadata_formats,
            uploaded_by,
        } = recording.details.clone();
        let convert = |BreakoutPlace { parent_id, sequence, free_join }| StoredBreakout {
            parent_id,
            sequence,
            free_join,
        };
        let size = |(format, size): (&String, Option<i64>)| Some((format.clone(), size?));
        let formats = recording.formats.iter().map(|format| (&format.format, format.size));
        let sizes = formats.filter_map(size).collect();
        let breakout = breakout.map(convert);
        Self {
            is_breakout,
            breakout,
            breakout_rooms,
            raw_size,
            sizes,
            edits,
            metadata_formats,
            uploaded_by,
        }
    }

    /// Writes the details to their recording.
    pub(super) fn apply_to(mut self, recording: &mut Recording) {
        for format in &mut recording.formats {
            format.size = self.sizes.remove(&format.format);
        }
        let convert = |StoredBreakout { parent_id, sequence, free_join }| BreakoutPlace {
            parent_id,
            sequence,
            free_join,
        };
        recording.details = RecordingDetails {
            is_breakout: self.is_breakout,
            breakout: self.breakout.map(convert),
            breakout_rooms: self.breakout_rooms,
            raw_size: self.raw_size,
            metadata_edits: self.edits,
            metadata_formats: self.metadata_formats,
            uploaded_by: self.uploaded_by,
        };
    }
}

/// Runs a statement that returns record ids and details; returns the details by record id.
pub(super) fn read(
    connection: &mut dyn SqlConnection,
    sql: &str,
    values: &[SqlValue<'_>],
) -> Result<HashMap<String, StoredDetails>, StoreError> {
    let mut found = HashMap::new();
    connection.visit(sql, values, &mut |row| {
        let text: String = row.get(1)?;
        // An unreadable row must not hide all others.
        let details = serde_json::from_str(&text).unwrap_or_else(|_| {
            tracing::warn!("details of a recording unreadable: treated as empty");
            StoredDetails::default()
        });
        found.insert(row.get(0)?, details);
        Ok(())
    })?;
    Ok(found)
}

/// Stores the details of a recording.
pub(super) fn write(
    connection: &mut dyn SqlConnection,
    recording: &Recording,
) -> Result<(), StoreError> {
    const WRITE: &str = "INSERT INTO recording_details (record_id, details) VALUES (?1, ?2) \
        ON CONFLICT (record_id) DO UPDATE SET details = excluded.details";
    let details = StoredDetails::from_recording(recording);
    if details == StoredDetails::default() {
        return forget(connection, &recording.record_id);
    }
    let text = serde_json::to_string(&details)
        .map_err(|error| StoreError::Corrupt(format!("details of a recording: {error}")))?;
    connection.execute(WRITE, values![&recording.record_id, &text]).map(drop)
}

/// Deletes the details of a recording.
pub(super) fn forget(
    connection: &mut dyn SqlConnection,
    record_id: &str,
) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recording_details WHERE record_id = ?1";
    connection.execute(FORGET, values![record_id]).map(drop)
}
