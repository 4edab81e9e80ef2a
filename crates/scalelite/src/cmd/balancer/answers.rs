//! What answers of the API are read as.

use app::admin::placement::ServerOutlook;
use app::ports::{
    ArchiveRecord, AuditRecord, AuditTarget, Finding, FindingLevel, ImportStage, ManagementToken,
};
use domain::management::Scopes;
use domain::recording::{PlaybackFormat, Recording, RecordingDetails, Thumbnail};
use domain::tenant::Lrs;
use domain::{Meeting, Server, Tenant, TenantSetting, Timestamp};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

use super::HIDDEN;

/// Reads a time by RFC 3339.
fn read_time<E: serde::de::Error>(text: &str) -> Result<Timestamp, E> {
    let time = humantime::parse_rfc3339(text).map_err(E::custom)?;
    let since = time.duration_since(std::time::UNIX_EPOCH).map_err(E::custom)?;
    i64::try_from(since.as_millis()).map(Timestamp).map_err(E::custom)
}

/// Reads a time that must be there.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    read_time(&String::deserialize(from)?)
}

/// Reads a time that may be absent.
fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Option::<String>::deserialize(from)?.as_deref().map(read_time).transpose()
}

/// A server.
#[derive(Deserialize)]
pub(super) struct ServerAnswer {
    pub(super) record: Server,
    expected_users: f64,
    upcoming_users: f64,
    forecast_load: f64,
}

impl ServerAnswer {
    pub(super) fn into_server(self) -> Server {
        Server { secret: HIDDEN.to_owned(), ..self.record }
    }

    pub(super) fn outlook(&self) -> ServerOutlook {
        ServerOutlook {
            expected_users: self.expected_users,
            upcoming_users: self.upcoming_users,
            expected_load: self.forecast_load,
        }
    }
}

/// A meeting.
#[derive(Deserialize)]
pub(super) struct RecordedMeetingAnswer {
    pub(super) record: Meeting,
}

/// A tenant.
#[derive(Deserialize)]
pub(super) struct TenantAnswer {
    id: String,
    name: String,
    secrets: usize,
    lrs: LrsAnswer,
}

#[derive(Deserialize)]
struct LrsAnswer {
    endpoint: Option<String>,
    username: Option<String>,
    has_password: bool,
    kc_token_url: Option<String>,
    kc_client_id: Option<String>,
    has_kc_client_secret: bool,
    kc_username: Option<String>,
    has_kc_password: bool,
}

impl From<TenantAnswer> for Tenant {
    fn from(answer: TenantAnswer) -> Self {
        let hidden = |is_set: bool| is_set.then(|| HIDDEN.to_owned());
        let lrs = answer.lrs;
        Self {
            id: answer.id,
            name: answer.name,
            secrets: vec![HIDDEN; answer.secrets].join(":"),
            lrs: Lrs {
                endpoint: lrs.endpoint,
                username: lrs.username,
                password: hidden(lrs.has_password),
                kc_token_url: lrs.kc_token_url,
                kc_client_id: lrs.kc_client_id,
                kc_client_secret: hidden(lrs.has_kc_client_secret),
                kc_username: lrs.kc_username,
                kc_password: hidden(lrs.has_kc_password),
            },
        }
    }
}

/// A setting of a tenant.
#[derive(Deserialize)]
pub(super) struct SettingAnswer {
    id: String,
    param: String,
    value: String,
    #[serde(rename = "override")]
    is_override: bool,
}

impl SettingAnswer {
    pub(super) fn of(self, tenant: &str) -> TenantSetting {
        let Self { id, param, value, is_override } = self;
        TenantSetting { id, tenant: tenant.to_owned(), param, value, is_override }
    }
}

/// A token.
#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    id: String,
    name: String,
    scopes: Vec<String>,
    tenant: Option<String>,
    #[serde(deserialize_with = "time")]
    created_at: Timestamp,
    created_by: String,
    #[serde(default, deserialize_with = "some_time")]
    expires_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_time")]
    last_used_at: Option<Timestamp>,
}

impl From<TokenAnswer> for ManagementToken {
    fn from(answer: TokenAnswer) -> Self {
        // Scopes that a later version has are left out.
        let names = answer.scopes.iter().map(String::as_str);
        let known = names.filter(|name| Scopes::parse(name).is_ok());
        Self {
            id: answer.id,
            name: answer.name,
            digest: String::new(),
            scopes: Scopes::from_names(known).unwrap_or_default(),
            tenant: answer.tenant,
            created_at: answer.created_at,
            created_by: answer.created_by,
            expires_at: answer.expires_at,
            last_used_at: answer.last_used_at,
        }
    }
}

/// A token that was made.
#[derive(Deserialize)]
pub(super) struct MadeTokenAnswer {
    pub(super) secret: String,
    pub(super) token: TokenAnswer,
}

/// A change.
#[derive(Deserialize)]
pub(super) struct ChangeAnswer {
    id: String,
    #[serde(deserialize_with = "time")]
    at: Timestamp,
    actor: String,
    action: String,
    target: AuditTarget,
    before: Option<Value>,
    after: Option<Value>,
    request_id: Option<String>,
}

impl From<ChangeAnswer> for AuditRecord {
    fn from(answer: ChangeAnswer) -> Self {
        let text = |side: Option<Value>| side.map(|value| value.to_string());
        Self {
            at: answer.at,
            id: answer.id,
            actor: answer.actor,
            action: answer.action,
            target: answer.target,
            before: text(answer.before),
            after: text(answer.after),
            request_id: answer.request_id,
        }
    }
}

/// A callback that has not been delivered.
#[derive(Deserialize)]
pub(super) struct CallbackAnswer {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) tenant: Option<String>,
    pub(super) meeting_id: String,
    pub(super) record_id: Option<String>,
    pub(super) host: String,
    #[serde(deserialize_with = "time")]
    pub(super) posted_at: Timestamp,
    pub(super) attempts: u32,
    #[serde(default, deserialize_with = "some_time")]
    pub(super) next_at: Option<Timestamp>,
    pub(super) failure: Option<String>,
}

/// An archive.
#[derive(Deserialize)]
pub(super) struct ArchiveAnswer {
    name: String,
    state: String,
    attempts: u32,
    size: u64,
    #[serde(deserialize_with = "time")]
    received_at: Timestamp,
    #[serde(deserialize_with = "time")]
    changed_at: Timestamp,
    reason: Option<String>,
}

impl From<ArchiveAnswer> for ArchiveRecord {
    fn from(answer: ArchiveAnswer) -> Self {
        Self {
            name: answer.name,
            size: answer.size,
            received_at: answer.received_at,
            stage: ImportStage::from_name(&answer.state).unwrap_or(ImportStage::Received),
            attempts: answer.attempts,
            reason: answer.reason,
            changed_at: answer.changed_at,
        }
    }
}

/// A recording in the trash.
#[derive(Deserialize)]
pub(super) struct TrashAnswer {
    pub(super) record_id: String,
    pub(super) formats: Vec<String>,
    #[serde(deserialize_with = "time")]
    pub(super) deleted_at: Timestamp,
    #[serde(deserialize_with = "time")]
    pub(super) until: Timestamp,
}

/// A recording.
#[derive(Deserialize)]
pub(super) struct RecordingAnswer {
    record_id: String,
    meeting_id: Option<String>,
    name: Option<String>,
    state: Option<String>,
    published: bool,
    protected: bool,
    participants: Option<i32>,
    #[serde(default, deserialize_with = "some_time")]
    started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_time")]
    ended_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_time")]
    deleted_at: Option<Timestamp>,
    metadata: BTreeMap<String, Option<String>>,
    formats: Vec<FormatAnswer>,
    raw_size: Option<i64>,
    is_breakout: Option<bool>,
}

#[derive(Deserialize)]
struct FormatAnswer {
    #[serde(rename = "type")]
    format: String,
    url: Option<String>,
    length_min: Option<i32>,
    size: Option<i64>,
    processing_time_ms: Option<i32>,
    previews: usize,
}

/// Most previews of a format that are believed.
const MAX_PREVIEWS: usize = 10_000;

impl From<FormatAnswer> for PlaybackFormat {
    fn from(answer: FormatAnswer) -> Self {
        Self {
            format: answer.format,
            url: answer.url,
            length_minutes: answer.length_min,
            processing_time_ms: answer.processing_time_ms,
            // Only their number is known.
            thumbnails: vec![Thumbnail::default(); answer.previews.min(MAX_PREVIEWS)],
            size: answer.size,
        }
    }
}

impl From<RecordingAnswer> for Recording {
    fn from(answer: RecordingAnswer) -> Self {
        Self {
            record_id: answer.record_id,
            meeting_id: answer.meeting_id,
            name: answer.name,
            published: answer.published,
            participants: answer.participants,
            state: answer.state,
            started_at: answer.started_at,
            ended_at: answer.ended_at,
            deleted_at: answer.deleted_at,
            protected: answer.protected,
            metadata: answer.metadata.into_iter().collect(),
            formats: answer.formats.into_iter().map(PlaybackFormat::from).collect(),
            details: RecordingDetails {
                raw_size: answer.raw_size,
                is_breakout: answer.is_breakout,
                ..RecordingDetails::default()
            },
            ..Self::default()
        }
    }
}

/// What a check found.
#[derive(Deserialize)]
pub(super) struct FindingAnswer {
    check: String,
    level: String,
    detail: String,
    advice: Option<String>,
}

impl From<FindingAnswer> for Finding {
    fn from(answer: FindingAnswer) -> Self {
        let levels =
            [FindingLevel::Ok, FindingLevel::Warn, FindingLevel::Fail, FindingLevel::Skipped];
        let level = levels.into_iter().find(|level| level.name() == answer.level);
        Self {
            check: answer.check,
            level: level.unwrap_or(FindingLevel::Warn),
            detail: answer.detail,
            advice: answer.advice,
        }
    }
}
