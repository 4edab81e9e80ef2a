//! The audit: who has changed what, and when. Records are appended and never changed; old ones are forgotten.

use async_trait::async_trait;
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::store_error::StoreError;

/// What a change concerned. Mostly one or two of these are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTarget {
    /// The id of a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The host name of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The id of a meeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting: Option<String>,
    /// The id of a tenant, or of the tenant of the meeting or recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The id of a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// The name of something else: a management token, an archive, a callback, a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it was made.
    #[serde(with = "timestamp")]
    pub at: Timestamp,
    /// A unique id, which orders records of the same time.
    pub id: String,
    /// Who made it: `token NAME`, `user@host`, `api ADDRESS`, `front-end ADDRESS` or `automatic: REASON`.
    pub actor: String,
    /// What was done, e.g. `server.update`.
    pub action: String,
    /// What it concerned.
    #[serde(default)]
    pub target: AuditTarget,
    /// What it was like before, as a JSON text without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it was like afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

mod timestamp {
    use domain::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(
        at: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}

impl AuditRecord {
    /// The record as a store keeps it.
    #[must_use]
    pub fn to_stored(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what a store has kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_stored(stored: &str) -> Result<Self, StoreError> {
        serde_json::from_str(stored)
            .map_err(|_| StoreError::Corrupt("a record of the audit cannot be read".to_owned()))
    }

    /// Where a list continues after this record.
    #[must_use]
    pub fn position(&self) -> AuditPosition {
        AuditPosition { at: self.at, id: self.id.clone() }
    }
}

/// A place in the audit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    /// The time of the record there.
    pub at: Timestamp,
    /// Its id.
    pub id: String,
}

/// Stores the audit. Every method is atomic, and fails only if the store fails.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends records. A record that is there already (by time and id) stays as it is, so a call may be repeated.
    async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StoreError>;

    /// Lists records of `since` or later, the newest first, `max` at most; only those that are older than the place `before`, if it is
    /// given. Records of the same time are ordered by their ids.
    async fn list_audit(
        &self,
        since: Timestamp,
        before: Option<&AuditPosition>,
        max: usize,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// Forgets records from before a time, and the oldest ones if more than `max` are left.
    async fn forget_audit(&self, before: Timestamp, max: usize) -> Result<(), StoreError>;
}
