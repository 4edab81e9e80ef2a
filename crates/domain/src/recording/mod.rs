//! Recordings as they are kept: what a meeting left behind, and who wants to hear of it.

pub mod captions;
pub mod catalog;
mod file_types;
mod names;
pub mod playback_access;
pub mod retention;

use crate::time::Timestamp;

pub use file_types::FileType;
pub use names::{FilePath, FormatName, RecordId, RecordingFormatId};

/// An image of a playback format's preview.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width in pixels.
    pub width: Option<i32>,
    /// Height in pixels.
    pub height: Option<i32>,
    /// Text instead of the image.
    pub alt: Option<String>,
    /// Path and query of its URL.
    pub url: Option<String>,
    /// Its place among the others, from 0.
    pub sequence: Option<i32>,
}

/// One way to watch a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaybackFormat {
    /// `presentation`, `video`, `notes`…; unique within a recording.
    pub format: String,
    /// Path and query of its URL.
    pub url: Option<String>,
    /// Length in minutes.
    pub length_minutes: Option<i32>,
    /// Time that BBB took to make it, in ms.
    pub processing_time_ms: Option<i32>,
    /// Previews, in order.
    pub thumbnails: Vec<Thumbnail>,
    /// Bytes of its files, as BBB counted them. Not known of what the original imported.
    pub size: Option<i64>,
}

/// What a breakout room's recording tells of its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakoutPlace {
    /// Internal id of the meeting that it belongs to.
    pub parent_id: String,
    /// Its number among its siblings.
    pub sequence: Option<i32>,
    /// Whether users chose it themselves.
    pub free_join: Option<bool>,
}

/// What the original's tables have no room for; nothing is known of what it imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingDetails {
    /// Whether it is a breakout room's.
    pub is_breakout: Option<bool>,
    /// Where a breakout room belongs.
    pub breakout: Option<BreakoutPlace>,
    /// Internal ids of its breakout rooms.
    pub breakout_rooms: Vec<String>,
    /// Bytes of the raw recording on its BBB server.
    pub raw_size: Option<i64>,
    /// Metadata that was changed through the API, by name; none: removed. A further import must not undo it.
    pub metadata_edits: Vec<(String, Option<String>)>,
}

/// A recording, whole.
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
    /// How many took part.
    pub participants: Option<i32>,
    /// `published`, `unpublished`, `deleted`, `processing`…
    pub state: Option<String>,
    /// When the meeting began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Whether only holders of a token may watch it.
    pub protected: bool,
    /// Whether somebody published or unpublished it by the API, which an import must not undo.
    pub publish_updated: bool,
    /// Metadata: name and value; names are unique. In order of their names.
    pub metadata: Vec<(String, Option<String>)>,
    /// Playback formats, in order of their names.
    pub formats: Vec<PlaybackFormat>,
    /// What only we keep.
    pub details: RecordingDetails,
}

impl Recording {
    /// The tenant that it belongs to.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.metadata_value(catalog::TENANT_KEY)
    }

    /// The value of a metadata key; empty if it has none.
    #[must_use]
    pub fn metadata_value(&self, key: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_deref().unwrap_or_default())
    }

    /// Whether it was deleted: what is left of it is the knowledge that it was there.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some() || self.state.as_deref() == Some("deleted")
    }
}

/// What was stored for a meeting so that its front-end can be told of its end and recording.
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
    /// When this was last changed.
    pub updated_at: Timestamp,
}

impl Callback {
    /// The attribute with the URL that wants to hear of recordings.
    pub const READY_URL: &str = "recording_ready_url";
    /// The attribute with the URL that wants to hear what happened in the meeting.
    pub const ANALYTICS_URL: &str = "analytics_callback_url";
    /// The attribute that tells which secret signed the meeting's create.
    pub const SECRET_HINT: &str = "secret_hint";
    /// The attribute that tells whose meeting it is.
    pub const TENANT: &str = "tenant_id";
    /// The attribute that tells which server has the meeting.
    pub const SERVER: &str = "server_id";

    /// Whether it is that tenant's. The original does not tell tenants apart: what it kept may be anybody's.
    #[must_use]
    pub fn belongs_to(&self, tenant: Option<&str>) -> bool {
        self.attribute(Self::TENANT).is_none_or(|own| tenant == Some(own))
    }

    /// The id under which the callback of a tenant's meeting is kept where another tenant's meeting of that id has
    /// the plain one, which is the only one that the original knows.
    #[must_use]
    pub fn tenant_scoped_id(tenant: &str, meeting_id: &str) -> String {
        format!("{tenant}\u{1f}{meeting_id}")
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        self.attributes.retain(|(key, _)| key != name);
        self.attributes.push((name.to_owned(), value.to_owned()));
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
