//! Recordings: list, show, publish, protect, delete, bring back.

use std::collections::BTreeMap;

use app::admin::recordings as admin;
use app::ports::{RecordingCursor, RecordingStore, Visibility};
use app::recordings::changes::change_recordings;
use app::recordings::file_moves::{self, FileMoveError};
use app::recordings::undelete::{UndeleteError, undelete_recording};
use domain::Timestamp;
use domain::recording::catalog::{
    MetadataMatch, RESERVED_KEYS, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{PlaybackFormat, Recording};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply, etag};
use super::input::Nothing;
use super::paging::{Page, bad_cursor, from_cursor, page_size, to_cursor};
use super::problem::Problem;
use super::views::show_time;

impl From<FileMoveError> for Problem {
    fn from(error: FileMoveError) -> Self {
        match error {
            FileMoveError::Store(error) => error.into(),
            FileMoveError::NoFiles { .. } => Self::conflict("no-files", error),
            FileMoveError::Files(_) => Self::unavailable(error),
        }
    }
}

impl From<UndeleteError> for Problem {
    fn from(error: UndeleteError) -> Self {
        match error {
            UndeleteError::NotDeleted => Self::conflict("not-deleted", error),
            UndeleteError::BeingRemoved => Self::conflict("being-removed", error),
            other => Self::unavailable(other),
        }
    }
}

/// Most conditions on metadata.
const MAX_CONDITIONS: usize = 20;

/// A recording.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Recording")]
pub(super) struct RecordingView {
    record_id: String,
    /// `meetingID`, as the front-end gave it.
    meeting_id: Option<String>,
    name: Option<String>,
    /// published, unpublished, deleted…
    state: Option<String>,
    published: bool,
    /// Whether it can be watched only with a one-time link.
    protected: bool,
    participants: Option<i32>,
    started_at: Option<String>,
    ended_at: Option<String>,
    deleted_at: Option<String>,
    /// The id of its tenant.
    tenant: Option<String>,
    metadata: BTreeMap<String, Option<String>>,
    formats: Vec<FormatView>,
    /// Bytes of the raw recording on its BBB server.
    raw_size: Option<i64>,
    is_breakout: Option<bool>,
}

/// One way to watch a recording.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PlaybackFormat")]
struct FormatView {
    #[serde(rename = "type")]
    format: String,
    url: Option<String>,
    length_min: Option<i32>,
    size: Option<i64>,
    /// How long BBB took to make it.
    processing_time_ms: Option<i32>,
    /// How many preview images it has.
    previews: usize,
}

fn view_format(format: &PlaybackFormat) -> FormatView {
    FormatView {
        format: format.format.clone(),
        url: format.url.clone(),
        length_min: format.length_minutes,
        size: format.size,
        processing_time_ms: format.processing_time_ms,
        previews: format.thumbnails.len(),
    }
}

fn view(recording: &Recording) -> RecordingView {
    let show = |time: Option<Timestamp>| time.map(show_time);
    RecordingView {
        record_id: recording.record_id.clone(),
        meeting_id: recording.meeting_id.clone(),
        name: recording.name.clone(),
        state: recording.state.clone(),
        published: recording.published,
        protected: recording.protected,
        participants: recording.participants,
        started_at: show(recording.started_at),
        ended_at: show(recording.ended_at),
        deleted_at: show(recording.deleted_at),
        tenant: recording.tenant().map(str::to_owned),
        metadata: recording.metadata.iter().cloned().collect(),
        formats: recording.formats.iter().map(view_format).collect(),
        raw_size: recording.details.raw_size,
        is_breakout: recording.details.is_breakout,
    }
}

fn recording_etag(recording: &Recording) -> String {
    let Recording { record_id, state, published, protected, metadata, .. } = recording;
    etag(&(record_id, state, published, protected, metadata))
}

fn show(recording: &Recording) -> Reply<RecordingView> {
    Reply::tagged(view(recording), recording_etag(recording))
}

/// The recording store.
pub(super) fn store(call: &Call) -> Result<&dyn RecordingStore, Problem> {
    let store = call.app().recording_store.as_deref();
    store.ok_or_else(|| Problem::conflict("no-recordings", "there is no database of recordings"))
}

/// The recordings that the token may see.
fn scope(call: &Call) -> TenantScope {
    call.tenant().map_or(TenantScope::All, |tenant| TenantScope::Tenant(tenant.to_owned()))
}

/// Which recordings are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingQuery {
    /// Only those of this meeting. Several are separated by line feeds.
    #[schemars(length(max = 4000))]
    meeting_id: Option<String>,
    /// Only those of the tenant with this id.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
    /// Only those in these states, with commas between them; `any` for all, also deleted ones.
    #[schemars(length(max = 255))]
    state: Option<String>,
    /// Only those with this metadata, as `KEY=VALUE`; `%` at the begin or end of the value stands for any text. Several are
    /// separated by line feeds.
    #[schemars(length(max = 4000))]
    metadata: Option<String>,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

fn write_cursor(recording: &Recording) -> String {
    let started = recording.started_at.map(|at| at.0.to_string()).unwrap_or_default();
    to_cursor(&format!("{started} {}", recording.record_id))
}

fn read_cursor(cursor: &str) -> Result<RecordingCursor, Problem> {
    let text = from_cursor(cursor)?;
    let (started, record_id) = text.split_once(' ').ok_or_else(bad_cursor)?;
    let started_at = match started {
        "" => None,
        ms => Some(Timestamp(ms.parse().map_err(|_| bad_cursor())?)),
    };
    Ok(RecordingCursor { started_at, record_id: record_id.to_owned() })
}

/// The texts that line feeds separate.
fn split_lines(text: String) -> Vec<String> {
    text.split('\n').map(str::to_owned).collect()
}

/// Reads conditions on metadata.
fn read_metadata(text: Option<&str>) -> Result<Vec<(String, Vec<MetadataMatch>)>, Problem> {
    let lines = text.unwrap_or_default().split('\n').filter(|line| !line.is_empty());
    let read = |line: &str| {
        let pair = line.split_once('=').filter(|(key, _)| !key.is_empty());
        let (key, value) =
            pair.ok_or_else(|| Problem::invalid_parameter("metadata", "it must be KEY=VALUE"))?;
        Ok((key.to_lowercase(), vec![MetadataMatch::parse(value)]))
    };
    lines.take(MAX_CONDITIONS).map(read).collect()
}

pub(super) async fn list(
    call: Call,
    query: RecordingQuery,
    _: Nothing,
) -> Result<Reply<Page<RecordingView>>, Problem> {
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let states = match query.state {
        None => RecordingStates::Usual,
        Some(state) if state == "any" => RecordingStates::Any,
        Some(states) => {
            RecordingStates::Listed(states.split(',').map(|it| it.trim().to_owned()).collect())
        }
    };
    let filter = RecordingFilter {
        record_ids: Vec::new(),
        meeting_ids: query.meeting_id.map(split_lines).unwrap_or_default(),
        states,
        metadata: read_metadata(query.metadata.as_deref())?,
    };
    let scope = match (call.tenant(), query.tenant) {
        (Some(own), Some(wanted)) if own != wanted => {
            return Ok(Page { items: Vec::new(), next: None }.into());
        }
        (None, Some(wanted)) => TenantScope::Tenant(wanted),
        _ => scope(&call),
    };
    let size = page_size(query.limit);
    let max = u32::try_from(size + 1).unwrap_or(u32::MAX);
    let mut found = store(&call)?.search_recordings(&filter, &scope, after.as_ref(), max).await?;
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(write_cursor);
    Ok(Page { items: found.iter().map(view).collect(), next }.into())
}

/// Finds the recording of the path, if the token may see it.
async fn find(call: &Call) -> Result<Recording, Problem> {
    let found = store(call)?.find_recording(call.part(0)).await?;
    let scope = scope(call);
    found
        .filter(|recording| scope.accepts(recording))
        .ok_or_else(|| Problem::not_found("recording"))
}

/// Finds it, and checks its version if the client names one.
async fn find_version(call: &Call) -> Result<Recording, Problem> {
    let recording = find(call).await?;
    call.check_version(&recording_etag(&recording))?;
    Ok(recording)
}

pub(super) async fn get(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<RecordingView>, Problem> {
    Ok(show(&find(&call).await?))
}

/// A key of metadata.
#[derive(Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct MetadataKey(#[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,254}$"))] String);

/// A change of a recording: fields that are not given stay as they are.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RecordingChange")]
pub(super) struct RecordingPatch {
    /// Whether everybody who may can watch it.
    published: Option<bool>,
    /// Whether it can be watched only with a one-time link.
    protected: Option<bool>,
    /// Metadata to set; null removes.
    #[serde(default)]
    metadata: BTreeMap<MetadataKey, Option<String>>,
}

pub(super) async fn update(
    call: Call,
    _: Nothing,
    body: RecordingPatch,
) -> Result<Reply<RecordingView>, Problem> {
    let (app, recording) = (call.app(), find_version(&call).await?);
    let id = recording.record_id.clone();
    if recording.is_deleted() {
        return Err(Problem::conflict("deleted", "the recording is deleted"));
    }
    let mut metadata = Vec::new();
    for (MetadataKey(key), value) in body.metadata {
        let pointer = format!("/metadata/{key}");
        if RESERVED_KEYS.contains(&key.as_str()) {
            return Err(Problem::invalid_value(&pointer, "this key cannot be changed"));
        }
        if value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(Problem::invalid_value(&pointer, "a text cannot contain NUL"));
        }
        metadata.push((key, value));
    }
    let change = RecordingChange { metadata, protected: body.protected, tenant: None };
    if !change.is_empty() {
        let ids = std::slice::from_ref(&id);
        change_recordings(app, store(&call)?, ids, &scope(&call), &change).await?;
    }
    if let Some(published) = body.published.filter(|published| *published != recording.published) {
        let visibility = if published { Visibility::Published } else { Visibility::Unpublished };
        admin::set_visibility(app, store(&call)?, &id, visibility).await?;
    }
    Ok(show(&find(&call).await?))
}

/// How a recording is deleted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    /// Remove the files at once, also from the trash.
    #[serde(default)]
    erase: bool,
}

pub(super) async fn delete(
    call: Call,
    query: DeleteQuery,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    let (app, recording) = (call.app(), find_version(&call).await?);
    let (store, id) = (store(&call)?, &recording.record_id);
    let deleted = match query.erase {
        true => file_moves::erase_recording(app, store, id).await?,
        false if recording.is_deleted() => true,
        false => file_moves::delete_recording(app, store, id, &scope(&call)).await?,
    };
    if deleted { Ok(NoContent.into()) } else { Err(Problem::not_found("recording")) }
}

pub(super) async fn undelete(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<RecordingView>, Problem> {
    let recording = find_version(&call).await?;
    let importer = call.state.administration.importer.as_ref();
    undelete_recording(call.app(), store(&call)?, importer, &recording.record_id).await?;
    match find(&call).await {
        Ok(restored) => Ok(show(&restored)),
        // Its row was only a tombstone; its archives are imported now.
        Err(_) => Ok(show(&recording)),
    }
}
