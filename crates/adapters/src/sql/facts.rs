//! What the original's tables have no room for, as one text for each recording: nothing in it is
//! searched, and whoever reads a recording reads all of it.

use std::collections::{BTreeMap, HashMap};

use app::ports::StoreError;
use domain::recording::{Breakout, Facts, Recording};
use serde::{Deserialize, Serialize};

use super::session::{Session, Value, values};

/// The text, in JSON. What is not known is left out.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    #[serde(skip_serializing_if = "Option::is_none")]
    is_breakout: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakout: Option<Place>,
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
struct Place {
    parent_id: String,
    sequence: Option<i32>,
    free_join: Option<bool>,
}

impl Known {
    pub(super) fn of(recording: &Recording) -> Self {
        let Facts { is_breakout, breakout, breakout_rooms, raw_size, edits } =
            recording.facts.clone();
        let place =
            |Breakout { parent_id, sequence, free_join }| Place { parent_id, sequence, free_join };
        let size = |(format, size): (&String, Option<i64>)| Some((format.clone(), size?));
        let formats = recording.formats.iter().map(|one| (&one.format, one.size));
        let sizes = formats.filter_map(size).collect();
        let breakout = breakout.map(place);
        Self { is_breakout, breakout, breakout_rooms, raw_size, sizes, edits }
    }

    /// Adds it to its recording.
    pub(super) fn enter(mut self, recording: &mut Recording) {
        for format in &mut recording.formats {
            format.size = self.sizes.remove(&format.format);
        }
        let place =
            |Place { parent_id, sequence, free_join }| Breakout { parent_id, sequence, free_join };
        recording.facts = Facts {
            is_breakout: self.is_breakout,
            breakout: self.breakout.map(place),
            breakout_rooms: self.breakout_rooms,
            raw_size: self.raw_size,
            edits: self.edits,
        };
    }
}

/// Facts by record id, from a statement that finds both.
pub(super) fn read(
    session: &mut dyn Session,
    sql: &str,
    values: &[Value<'_>],
) -> Result<HashMap<String, Known>, StoreError> {
    let mut found = HashMap::new();
    session.visit(sql, values, &mut |row| {
        let text: String = row.get(1)?;
        // One row that nobody can read must not hide all others.
        let known = serde_json::from_str(&text).unwrap_or_else(|_| {
            tracing::warn!("what is known of a recording is not readable and taken as nothing");
            Known::default()
        });
        found.insert(row.get(0)?, known);
        Ok(())
    })?;
    Ok(found)
}

/// Writes what is known of a recording.
pub(super) fn write(session: &mut dyn Session, recording: &Recording) -> Result<(), StoreError> {
    const WRITE: &str = "INSERT INTO recording_facts (record_id, facts) VALUES (?1, ?2) \
        ON CONFLICT (record_id) DO UPDATE SET facts = excluded.facts";
    let known = Known::of(recording);
    if known == Known::default() {
        return forget(session, &recording.record_id);
    }
    let text = serde_json::to_string(&known)
        .map_err(|error| StoreError::Corrupt(format!("facts of a recording: {error}")))?;
    session.execute(WRITE, values![&recording.record_id, &text]).map(drop)
}

/// Forgets what is known of a recording.
pub(super) fn forget(session: &mut dyn Session, record_id: &str) -> Result<(), StoreError> {
    const FORGET: &str = "DELETE FROM recording_facts WHERE record_id = ?1";
    session.execute(FORGET, values![record_id]).map(drop)
}
