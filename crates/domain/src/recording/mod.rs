//! Recordings as they are stored, and the callbacks of their meetings.

pub mod captions;
pub mod catalog;
mod file_types;
mod names;
pub mod playback_access;
pub mod retention;
pub mod times;

use crate::time::Timestamp;

pub use file_types::FileType;
pub use names::{FilePath, FormatName, RecordId, RecordingFormatId};
pub use retention::Retention;

/// A preview image of a playback format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width in pixels.
    pub width: Option<i32>,
    /// Height in pixels.
    pub height: Option<i32>,
    /// Alternative text of the image.
    pub alt: Option<String>,
    /// Path and query of its URL.
    pub url: Option<String>,
    /// Its position among the previews, from 0.
    pub sequence: Option<i32>,
}

/// A playback format of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaybackFormat {
    /// Its name: `presentation`, `video`, `notes`…; unique within a recording.
    pub format: String,
    /// Path and query of its URL.
    pub url: Option<String>,
    /// Length in minutes.
    pub length_minutes: Option<i32>,
    /// Time that BBB took to generate it, in ms.
    pub processing_time_ms: Option<i32>,
    /// Previews, in order.
    pub thumbnails: Vec<Thumbnail>,
    /// Size of its files in bytes, as counted by BBB. Not known for formats that the original
    /// Scalelite imported.
    pub size: Option<i64>,
}

/// The parent meeting of a breakout room, and the room's position in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakoutPlace {
    /// Internal id of the parent meeting.
    pub parent_id: String,
    /// Its number among the breakout rooms of the parent meeting.
    pub sequence: Option<i32>,
    /// Whether users could choose the room themselves.
    pub free_join: Option<bool>,
}

/// Details of a recording that the tables of the original Scalelite cannot store. They are not
/// known for recordings that it imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingDetails {
    /// Whether the meeting was a breakout room.
    pub is_breakout: Option<bool>,
    /// The parent meeting, if the meeting was a breakout room.
    pub breakout: Option<BreakoutPlace>,
    /// Internal ids of the breakout rooms of the meeting.
    pub breakout_rooms: Vec<String>,
    /// Size of the raw recording on its BBB server, in bytes.
    pub raw_size: Option<i64>,
    /// Metadata changed through the API: names and values, `None` for removed ones. A further
    /// import must not undo these changes.
    pub metadata_edits: Vec<(String, Option<String>)>,
    /// Which format each metadata value came with: keys and formats, sorted. A value is replaced
    /// only by an archive that has this format again.
    pub metadata_formats: Vec<(String, String)>,
    /// The server that uploaded the recording, as [`catalog::uploader_mark`] names it; `None` if the
    /// recording arrived in another way.
    pub uploaded_by: Option<String>,
}

/// A recording with its metadata and formats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// BBB's internal meeting id; unique.
    pub record_id: String,
    /// The meeting's id as the front-end gave it.
    pub meeting_id: Option<String>,
    /// The meeting's name.
    pub name: Option<String>,
    /// Whether it is published.
    pub published: bool,
    /// Number of participants.
    pub participants: Option<i32>,
    /// `published`, `unpublished`, `deleted`, `processing`…
    pub state: Option<String>,
    /// When the meeting began.
    pub started_at: Option<Timestamp>,
    /// When the meeting ended.
    pub ended_at: Option<Timestamp>,
    /// When the recording was last deleted by this program. It says nothing about whether the
    /// recording is deleted now: the original Scalelite may have imported it again.
    pub deleted_at: Option<Timestamp>,
    /// Whether viewers need a token.
    pub protected: bool,
    /// Whether somebody published or unpublished it through the API, which an import must not undo.
    pub publish_updated: bool,
    /// Metadata: unique names and their values, sorted by name.
    pub metadata: Vec<(String, Option<String>)>,
    /// Playback formats, sorted by name.
    pub formats: Vec<PlaybackFormat>,
    /// Details that the tables of the original Scalelite cannot store.
    pub details: RecordingDetails,
}

impl Recording {
    /// Returns the tenant that the recording belongs to.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.metadata_value(catalog::TENANT_KEY)
    }

    /// Returns the value of a metadata key: an empty text if the key has no value, and `None` if
    /// the key does not exist.
    #[must_use]
    pub fn metadata_value(&self, key: &str) -> Option<&str> {
        let entry = self.metadata.iter().find(|(name, _)| name == key);
        entry.map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// Sets what is deleted with a recording to what another one has: state, metadata, formats and
    /// details.
    pub fn restore_parts(&mut self, from: &Self) {
        self.published = from.published;
        self.state.clone_from(&from.state);
        self.metadata.clone_from(&from.metadata);
        self.formats.clone_from(&from.formats);
        self.details.clone_from(&from.details);
    }

    /// Returns whether the recording was deleted, which its state alone says. Its row is kept as a
    /// tombstone.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.state.as_deref() == Some("deleted")
    }
}

/// The data stored for a meeting to send callbacks to its front-end when the meeting ends and when
/// its recording is ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callback {
    /// The meeting's id.
    pub meeting_id: String,
    /// `record_id` of its recording, once there is one.
    pub record_id: Option<String>,
    /// Names and URLs: `recording_ready_url`, `analytics_callback_url`.
    pub attributes: Vec<(String, String)>,
    /// When the meeting was created.
    pub created_at: Timestamp,
    /// When the callback was last changed.
    pub updated_at: Timestamp,
}

impl Callback {
    /// Name of the attribute with the URL that is called when a recording is ready.
    pub const READY_URL: &str = "recording_ready_url";
    /// Name of the attribute with the URL that receives the analytics of the meeting.
    pub const ANALYTICS_URL: &str = "analytics_callback_url";
    /// Name of the attribute that identifies the secret that signed the create call.
    pub const SECRET_HINT: &str = "secret_hint";
    /// Name of the attribute with the tenant of the meeting.
    pub const TENANT: &str = "tenant_id";
    /// Name of the attribute with the server of the meeting.
    pub const SERVER: &str = "server_id";

    /// Returns whether the callback may belong to a tenant. Callbacks without a tenant may belong
    /// to any tenant, because the original Scalelite does not store tenants.
    #[must_use]
    pub fn belongs_to(&self, tenant: Option<&str>) -> bool {
        self.attribute(Self::TENANT).is_none_or(|owner| tenant == Some(owner))
    }

    /// Returns the id under which the callback of a tenant's meeting is stored if another tenant's
    /// meeting of the same id occupies the plain id. The original Scalelite uses plain ids only.
    #[must_use]
    pub fn tenant_scoped_id(tenant: &str, meeting_id: &str) -> String {
        format!("{tenant}\u{1f}{meeting_id}")
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        self.attributes.retain(|(key, _)| key != name);
        self.attributes.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
