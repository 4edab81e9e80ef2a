//! *Recordings*: the newest ones, or those of an id, and the archives that wait or cannot be imported.

use std::sync::Arc;

use app::ports::{ArchiveRecord, ImportStage};
use askama::Template;
use domain::management::Scope;
use domain::recording::Recording;
use domain::recording::catalog::{RecordingFilter, TenantScope};

use super::super::session::Viewer;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use crate::http::state::HttpState;

/// Recordings that are listed at most.
const MAX_RECORDINGS: u32 = 100;
/// Archives that are looked at.
const MAX_ARCHIVES: u32 = 500;

#[derive(Template)]
#[template(path = "console/recordings.html")]
struct RecordingsPage<'a> {
    exists: bool,
    label: &'static str,
    text: &'a str,
    recordings: Vec<RecordingRow>,
    may_change: bool,
    form_key: &'a str,
    archives: Vec<ArchiveRow>,
}

struct RecordingRow {
    id: String,
    name: String,
    tenant: String,
    started: String,
    state: String,
    published: bool,
    protected: bool,
    formats: Vec<(String, String)>,
}

struct ArchiveRow {
    name: String,
    size: String,
    stage: &'static str,
    changed: String,
    reason: String,
    is_kept: bool,
}

#[derive(Template)]
#[template(source = "", ext = "html")]
struct EmptyPart;

pub(in super::super) async fn render(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    part: &str,
) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    let (mut recordings, mut archives) = (Vec::new(), Vec::new());
    if let Some(store) = &app.recording_store {
        let scope = match &viewer.holder.tenant {
            Some(tenant) => TenantScope::Tenant(tenant.clone()),
            None => TenantScope::All,
        };
        let mut filter = RecordingFilter::default();
        if !part.is_empty() {
            filter.record_ids = vec![part.to_owned()];
        }
        recordings = store.search_recordings(&filter, &scope, None, MAX_RECORDINGS).await?;
        if recordings.is_empty() && !part.is_empty() {
            filter = RecordingFilter {
                meeting_ids: vec![part.to_owned()],
                ..RecordingFilter::default()
            };
            recordings = store.search_recordings(&filter, &scope, None, MAX_RECORDINGS).await?;
        }
        if viewer.holder.tenant.is_none() {
            archives = store.list_archives(MAX_ARCHIVES).await?;
        }
    }
    let is_open = |archive: &&ArchiveRecord| archive.stage != ImportStage::Done;
    let row = |archive: &ArchiveRecord| ArchiveRow {
        name: archive.name.clone(),
        size: show::bytes(archive.size),
        stage: archive.stage.name(),
        changed: show::ago(archive.changed_at, now),
        reason: archive.reason.clone().unwrap_or_default(),
        is_kept: matches!(archive.stage, ImportStage::Quarantined | ImportStage::SetAside),
    };
    let page = RecordingsPage {
        exists: app.recording_store.is_some(),
        label: "Beginning of a recordID, or a meetingID",
        text: part,
        recordings: recordings.iter().map(RecordingRow::new).collect(),
        may_change: viewer.may(Scope::RecordingsWrite),
        form_key: &viewer.form_key,
        archives: archives.iter().filter(is_open).map(row).collect(),
    };
    // Everything is in the part with forms: the page is not live.
    RenderedPage::new("Recordings", &EmptyPart, Some(&page as _))
}

impl RecordingRow {
    fn new(recording: &Recording) -> Self {
        let id = &recording.record_id;
        let link = |format: &str| match format {
            "presentation" => format!("/playback/presentation/2.3/{id}"),
            format => format!("/{format}/{id}/"),
        };
        let formats = recording.formats.iter().map(|format| format.format.as_str());
        Self {
            id: id.clone(),
            name: recording
                .name
                .clone()
                .or_else(|| recording.meeting_id.clone())
                .unwrap_or_default(),
            tenant: recording.tenant().unwrap_or_default().to_owned(),
            started: recording.started_at.map_or_else(String::new, show::time),
            state: recording.state.clone().unwrap_or_default(),
            published: recording.published,
            protected: recording.protected,
            formats: formats.map(|format| (format.to_owned(), link(format))).collect(),
        }
    }
}
