//! The rules of the recording catalog: filters of searches, changes through the API, and merging an
//! imported archive into a recording.

use std::cmp::{Ordering, Reverse};

use sha2::{Digest as _, Sha256};

use super::{PlaybackFormat, Recording, RecordingDetails};
use crate::twins::normalize_url;

/// The metadata key that names the tenant of a recording.
pub const TENANT_KEY: &str = "tenant-id";
/// Metadata keys that callers can neither set nor remove.
pub const RESERVED_KEYS: [&str; 1] = [TENANT_KEY];
/// Metadata keys that BBB uses internally. Recordings have fields for their values, so the values
/// are not stored as metadata; the original Scalelite does not store them either.
pub const INTERNAL_KEYS: [&str; 3] = ["meetingId", "meetingName", "isBreakout"];

/// The tenants whose recordings are accessible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantScope {
    /// All recordings: there are no tenants, or an administrator asks.
    All,
    /// Recordings whose metadata names this tenant (`tenant-id`).
    Tenant(String),
}

impl TenantScope {
    /// Returns whether a recording is accessible.
    #[must_use]
    pub fn accepts(&self, recording: &Recording) -> bool {
        match self {
            Self::All => true,
            Self::Tenant(tenant) => recording.tenant() == Some(tenant.as_str()),
        }
    }
}

/// A filter by the state of recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingStates {
    /// Published and unpublished recordings.
    #[default]
    Usual,
    /// All recordings except deleted ones.
    Any,
    /// Recordings in one of these states, which may include `deleted`.
    Listed(Vec<String>),
}

impl RecordingStates {
    /// Returns whether the filter accepts a state.
    #[must_use]
    pub fn accepts(&self, state: Option<&str>) -> bool {
        match self {
            Self::Usual => matches!(state, Some("published" | "unpublished")),
            Self::Any => state != Some("deleted"),
            Self::Listed(states) => {
                state.is_some_and(|state| states.iter().any(|listed| listed == state))
            }
        }
    }
}

/// A condition on a metadata value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMatch {
    /// The value equals this text.
    Exact(String),
    /// The value begins with this text.
    Prefix(String),
    /// The value ends with this text.
    Suffix(String),
    /// The value contains this text.
    Substring(String),
}

impl MetadataMatch {
    /// Parses a condition as callers write it: `%` at either end matches any text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (any_start, rest) = text.strip_prefix('%').map_or((false, text), |rest| (true, rest));
        let (any_end, rest) = rest.strip_suffix('%').map_or((false, rest), |rest| (true, rest));
        let rest = rest.to_owned();
        match (any_start, any_end) {
            (false, false) => Self::Exact(rest),
            (false, true) => Self::Prefix(rest),
            (true, false) => Self::Suffix(rest),
            (true, true) => Self::Substring(rest),
        }
    }

    /// Returns whether a value meets the condition.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text.as_str()),
            Self::Suffix(text) => value.ends_with(text.as_str()),
            Self::Substring(text) => value.contains(text.as_str()),
        }
    }
}

/// A search filter. It accepts recordings that meet all of its conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Recording ids or their prefixes. An empty list accepts all ids.
    pub record_ids: Vec<String>,
    /// Exact meeting ids. An empty list accepts all ids. As in BBB, they are ignored if there are
    /// recording ids.
    pub meeting_ids: Vec<String>,
    /// The accepted states.
    pub states: RecordingStates,
    /// Metadata keys, each with conditions of which its value must meet one. As in BBB, all keys
    /// must match.
    pub metadata: Vec<(String, Vec<MetadataMatch>)>,
}

impl RecordingFilter {
    /// Returns whether the filter accepts a recording.
    #[must_use]
    pub fn accepts(&self, recording: &Recording) -> bool {
        let has_record_id = || self.record_ids.iter().any(|id| recording.record_id.starts_with(id));
        let meeting_id = recording.meeting_id.as_ref();
        let has_meeting_id = || meeting_id.is_some_and(|id| self.meeting_ids.contains(id));
        let has_id = match (self.record_ids.is_empty(), self.meeting_ids.is_empty()) {
            (false, _) => has_record_id(),
            (true, false) => has_meeting_id(),
            (true, true) => true,
        };
        has_id
            && self.states.accepts(recording.state.as_deref())
            && self.metadata.iter().all(|(key, conditions)| {
                let value = recording.metadata_value(key);
                value.is_some_and(|value| {
                    conditions.iter().any(|condition| condition.accepts(value))
                })
            })
    }
}

/// Compares recordings in the order of lists: the newest first, those without a start time last,
/// then by id.
#[must_use]
pub fn compare_newest_first(a: &Recording, b: &Recording) -> Ordering {
    let rank =
        |recording: &Recording| (recording.started_at.is_none(), Reverse(recording.started_at));
    rank(a).cmp(&rank(b)).then_with(|| a.record_id.cmp(&b.record_id))
}

/// A change of recordings through the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingChange {
    /// Metadata to set (`Some`) or to remove (`None`). Never contains [`RESERVED_KEYS`].
    pub metadata: Vec<(String, Option<String>)>,
    /// Whether viewers need a token.
    pub protected: Option<bool>,
    /// The tenant to assign the recording to. Only administrators can change it.
    pub tenant: Option<String>,
}

/// The description of a recording in an archive, with one or several formats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncomingRecording {
    /// The recording as its metadata files describe it. `published` and `protected` follow from the
    /// files and the settings; the formats are those of the archive.
    pub recording: Recording,
}

impl RecordingChange {
    /// Returns whether there is nothing to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies the change to a recording, and records the metadata edits so that an import does not
    /// undo them.
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

/// Sets or removes a named value in a list that is sorted by name.
fn set_value(values: &mut Vec<(String, Option<String>)>, key: &str, value: Option<Option<String>>) {
    values.retain(|(name, _)| name != key);
    values.extend(value.map(|value| (key.to_owned(), value)));
    values.sort();
}

/// Merges an imported archive into a recording.
///
/// The archive determines everything that nobody has changed through the API: publication, metadata
/// edits, protection and tenant are kept. Formats that are not part of the archive are kept as
/// well, and so is metadata: of several formats that differ in a value, the first one that came
/// determines it. Returns `None` if the recording was deleted; a late copy of an archive does not
/// restore it.
#[must_use]
pub fn merge_recording(before: Option<&Recording>, incoming: &Recording) -> Option<Recording> {
    let mut merged = incoming.clone();
    merged.metadata.retain(|(name, _)| !INTERNAL_KEYS.contains(&name.as_str()));
    merged.metadata.sort();
    merged.formats.sort_by(|a, b| a.format.cmp(&b.format));
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
    keep_earlier_metadata(before, incoming, &mut merged);
    // The tenant was determined by the first import or by an administrator.
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
    let is_replaced =
        |format: &PlaybackFormat| incoming.iter().any(|new| new.format == format.format);
    let kept = before.iter().filter(|format| !is_replaced(format));
    let mut formats: Vec<PlaybackFormat> = incoming.iter().chain(kept).cloned().collect();
    formats.sort_by(|a, b| a.format.cmp(&b.format));
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
        metadata_formats: incoming.metadata_formats.clone(),
        uploaded_by: before.uploaded_by.clone().or_else(|| incoming.uploaded_by.clone()),
    }
}

/// Returns the name by which recordings remember the server that uploaded them: a hash of its URL,
/// which stays the same if the server is removed from the pool and added again.
#[must_use]
pub fn uploader_mark(server_url: &str) -> String {
    let digest = Sha256::digest(normalize_url(server_url).as_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the server of this mark may upload a recording that is stored like this: it is new, or the
/// same server has uploaded it. What is uploaded for a deleted recording replaces nothing.
#[must_use]
pub fn may_upload(stored: Option<&Recording>, uploader: &str) -> bool {
    stored.is_none_or(|stored| {
        stored.is_deleted() || stored.details.uploaded_by.as_deref() == Some(uploader)
    })
}

/// Keeps the metadata values that a recording has, except those whose format is in the archive
/// again. Of a value whose format is unknown, since the original Scalelite imported it, any format
/// that comes again counts as the one that it came with.
fn keep_earlier_metadata(before: &Recording, incoming: &Recording, merged: &mut Recording) {
    let comes_again = |name: &str| incoming.formats.iter().any(|format| format.format == name);
    let any_comes_again = before.formats.iter().any(|format| comes_again(&format.format));
    for (key, value) in &before.metadata {
        let source = before.details.metadata_formats.iter().find(|(name, _)| name == key);
        let may_replace = source.map_or(any_comes_again, |(_, format)| comes_again(format));
        if may_replace && incoming.metadata.iter().any(|(name, _)| name == key) {
            continue;
        }
        set_value(&mut merged.metadata, key, Some(value.clone()));
        let sources = &mut merged.details.metadata_formats;
        sources.retain(|(name, _)| name != key);
        sources.extend(source.cloned());
        sources.sort();
    }
}

#[cfg(test)]
mod tests;
