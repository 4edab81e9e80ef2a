//! What is asked of recordings, and what becomes of one when more of it arrives.

use std::cmp::{Ordering, Reverse};

use super::{PlaybackFormat, Recording, RecordingDetails};

/// The metadata that says which tenant a recording belongs to.
pub const TENANT_KEY: &str = "tenant-id";
/// Metadata that says whose a recording is and where it came from: callers can neither set nor remove it.
pub const RESERVED_KEYS: [&str; 1] = [TENANT_KEY];
/// Metadata that BBB keeps for itself. It is told elsewhere, and the original keeps none of it.
pub const INTERNAL_KEYS: [&str; 3] = ["meetingId", "meetingName", "isBreakout"];

/// Whose recordings are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantScope {
    /// Everybody's: there are no tenants, or an administrator asks.
    All,
    /// Those whose metadata names this tenant (`tenant-id`).
    Tenant(String),
}

impl TenantScope {
    /// Whether a recording belongs to it.
    #[must_use]
    pub fn accepts(&self, recording: &Recording) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(tenant) => recording.tenant() == Some(tenant.as_str()),
        }
    }
}

/// The states of the recordings that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingStates {
    /// Published and unpublished ones.
    #[default]
    Usual,
    /// All but deleted ones.
    Any,
    /// These, deleted ones too if they are named.
    Listed(Vec<String>),
}

impl RecordingStates {
    /// Whether recordings of a state are wanted.
    #[must_use]
    pub fn accepts(&self, state: Option<&str>) -> bool {
        match self {
            Self::Usual => matches!(state, Some("published" | "unpublished")),
            Self::Any => state != Some("deleted"),
            Self::Listed(states) => {
                state.is_some_and(|state| states.iter().any(|one| one == state))
            }
        }
    }
}

/// A value of metadata that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMatch {
    /// This one.
    Exact(String),
    /// One that begins so.
    Prefix(String),
    /// One that ends so.
    Suffix(String),
    /// One that has this in it.
    Substring(String),
}

impl MetadataMatch {
    /// Reads a value as callers spell it: `%` at either end stands for anything.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (start, rest) = text.strip_prefix('%').map_or((false, text), |rest| (true, rest));
        let (end, rest) = rest.strip_suffix('%').map_or((false, rest), |rest| (true, rest));
        let rest = rest.to_owned();
        match (start, end) {
            (false, false) => Self::Exact(rest),
            (false, true) => Self::Prefix(rest),
            (true, false) => Self::Suffix(rest),
            (true, true) => Self::Substring(rest),
        }
    }

    /// Whether a value is wanted.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => value == wanted,
            Self::Prefix(wanted) => value.starts_with(wanted.as_str()),
            Self::Suffix(wanted) => value.ends_with(wanted.as_str()),
            Self::Substring(wanted) => value.contains(wanted.as_str()),
        }
    }
}

/// Which recordings are wanted: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Ids, or their beginnings; any if there are none.
    pub record_ids: Vec<String>,
    /// Ids of meetings, exactly; any if there are none. BBB does not look at them where records are named.
    pub meeting_ids: Vec<String>,
    /// States.
    pub states: RecordingStates,
    /// Metadata: each of these keys must have one of its values (BBB: all filters must match).
    pub metadata: Vec<(String, Vec<MetadataMatch>)>,
}

impl RecordingFilter {
    /// Whether a recording is wanted.
    #[must_use]
    pub fn accepts(&self, recording: &Recording) -> bool {
        let named = || self.record_ids.iter().any(|id| recording.record_id.starts_with(id));
        let meeting_id = recording.meeting_id.as_ref();
        let of_meeting = || meeting_id.is_some_and(|id| self.meeting_ids.contains(id));
        let of_ids = match (self.record_ids.is_empty(), self.meeting_ids.is_empty()) {
            (false, _) => named(),
            (true, false) => of_meeting(),
            (true, true) => true,
        };
        of_ids
            && self.states.accepts(recording.state.as_deref())
            && self.metadata.iter().all(|(key, wanted)| {
                let value = recording.metadata_value(key);
                value.is_some_and(|value| wanted.iter().any(|one| one.accepts(value)))
            })
    }
}

/// The order of lists: the newest first, those without a beginning last, then by id.
#[must_use]
pub fn compare_newest_first(one: &Recording, other: &Recording) -> Ordering {
    let place = |of: &Recording| (of.started_at.is_none(), Reverse(of.started_at));
    place(one).cmp(&place(other)).then_with(|| one.record_id.cmp(&other.record_id))
}

/// A change of recordings through the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingChange {
    /// Metadata to set, or to remove. Without [`RESERVED_KEYS`] keys.
    pub metadata: Vec<(String, Option<String>)>,
    /// Whether only holders of a token may watch.
    pub protected: Option<bool>,
    /// The tenant to give it to, by administrators only.
    pub tenant: Option<String>,
}

/// What an archive says of a recording: one or several formats of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncomingRecording {
    /// The recording as its metadata files tell it. `published` and `protected` are as the files and the settings want
    /// them; its formats are those that came.
    pub recording: Recording,
}

impl RecordingChange {
    /// Whether anything would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Changes a recording, and notes what of it an import must not undo.
    pub fn apply(&self, recording: &mut Recording) {
        for (key, value) in &self.metadata {
            set_value(&mut recording.metadata, key, value.clone().map(Some));
            set_value(&mut recording.details.metadata_edits, key, Some(value.clone()));
        }
        if let Some(tenant) = &self.tenant {
            set_value(&mut recording.metadata, TENANT_KEY, Some(Some(tenant.clone())));
        }
        recording.protected = self.protected.unwrap_or(recording.protected);
    }
}

/// Sets or removes one of some named values, which stay in order.
fn set_value(values: &mut Vec<(String, Option<String>)>, key: &str, value: Option<Option<String>>) {
    values.retain(|(name, _)| name != key);
    values.extend(value.map(|value| (key.to_owned(), value)));
    values.sort();
}

/// A recording after an archive: what the archive tells, but for what people have decided since.
///
/// Who published or unpublished it, edited its metadata, protected it or gave it to a tenant through the API keeps what
/// they did. Formats that did not come again stay. One that was deleted stays deleted: a late copy of an archive does
/// not bring it back, `None`.
#[must_use]
pub fn merge_recording(before: Option<&Recording>, incoming: &Recording) -> Option<Recording> {
    let mut merged = incoming.clone();
    merged.metadata.retain(|(name, _)| !INTERNAL_KEYS.contains(&name.as_str()));
    merged.metadata.sort();
    merged.formats.sort_by(|one, other| one.format.cmp(&other.format));
    let Some(before) = before else {
        return Some(merged);
    };
    if before.is_deleted() {
        return None;
    }
    if before.publish_updated {
        merged.published = before.published;
        merged.state.clone_from(&before.state);
        merged.publish_updated = true;
    }
    merged.protected = before.protected;
    merged.meeting_id = merged.meeting_id.or_else(|| before.meeting_id.clone());
    merged.name = merged.name.or_else(|| before.name.clone());
    merged.participants = merged.participants.or(before.participants);
    merged.started_at = merged.started_at.or(before.started_at);
    merged.ended_at = merged.ended_at.or(before.ended_at);
    merged.formats = merge_formats(&before.formats, &incoming.formats);
    merged.details = merge_details(&before.details, &incoming.details);
    // Whose it is was decided when it came first, or by an administrator.
    for key in RESERVED_KEYS {
        merged.metadata.retain(|(name, _)| name != key);
        merged.metadata.extend(before.metadata.iter().filter(|(name, _)| name == key).cloned());
    }
    for (key, value) in &merged.details.metadata_edits {
        merged.metadata.retain(|(name, _)| name != key);
        if value.is_some() {
            merged.metadata.push((key.clone(), value.clone()));
        }
    }
    merged.metadata.sort();
    Some(merged)
}

fn merge_formats(before: &[PlaybackFormat], incoming: &[PlaybackFormat]) -> Vec<PlaybackFormat> {
    let came = |format: &&PlaybackFormat| incoming.iter().any(|one| one.format == format.format);
    let stay = before.iter().filter(|format| !came(format));
    let mut formats: Vec<PlaybackFormat> = incoming.iter().chain(stay).cloned().collect();
    formats.sort_by(|one, other| one.format.cmp(&other.format));
    formats
}

fn merge_details(before: &RecordingDetails, incoming: &RecordingDetails) -> RecordingDetails {
    let mut rooms = incoming.breakout_rooms.clone();
    if rooms.is_empty() {
        rooms.clone_from(&before.breakout_rooms);
    }
    RecordingDetails {
        is_breakout: incoming.is_breakout.or(before.is_breakout),
        breakout: incoming.breakout.clone().or_else(|| before.breakout.clone()),
        breakout_rooms: rooms,
        raw_size: incoming.raw_size.or(before.raw_size),
        metadata_edits: before.metadata_edits.clone(),
    }
}

#[cfg(test)]
mod tests;
