//! `recordings`: lists, changes and deletes recordings, and compares the database with the files.

use std::collections::BTreeMap;

use app::admin::recordings::{self, FaultReport, RecordingFault};
use app::audit::{self, AuditEvent};
use app::ports::RecordingStore;
use app::recordings::file_moves::FileMoveError;
use app::recordings::retention::{Retention, delete_expired};
use domain::recording::catalog::{
    MetadataMatch, RESERVED_KEYS, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{PlaybackFormat, Recording};
use serde_json::{Value, json};

use crate::cli::recordings::RecordingSelection;
use crate::output::{print_line, print_note, printable};

use super::balancer::{Balancer, Changed};
use super::{CommandContext, CommandFailure, print_declined, read_confirmation};

/// A day, in ms.
const DAY_MS: i64 = 86_400_000;

impl From<FileMoveError> for CommandFailure {
    fn from(error: FileMoveError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// Parses `KEY=VALUE`. The key is converted to lowercase.
///
/// # Errors
/// When the text has no `=`, or the key is empty.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is missing".to_owned());
    }
    Ok((key.to_lowercase(), value.to_owned()))
}

pub(super) fn recording_store(
    context: &CommandContext,
) -> Result<&dyn RecordingStore, CommandFailure> {
    context.app.recording_store.as_deref().ok_or_else(|| super::no_recordings(context))
}

pub(super) fn build_filter(
    selection: &RecordingSelection,
    states: RecordingStates,
) -> (RecordingFilter, TenantScope) {
    let metadata = selection.metadata.iter();
    let metadata = metadata.map(|(key, value)| (key.clone(), vec![MetadataMatch::parse(value)]));
    let filter = RecordingFilter {
        record_ids: Vec::new(),
        meeting_ids: selection.meetings.clone(),
        states,
        metadata: metadata.collect(),
    };
    (filter, selection.tenant.clone().map_or(TenantScope::All, TenantScope::Tenant))
}

/// Lists recordings.
pub async fn list(
    balancer: &Balancer,
    selection: &RecordingSelection,
    states: Vec<String>,
    json: bool,
) -> Result<(), CommandFailure> {
    let print = |recording: &Recording| {
        print_line(if json { to_json(recording).to_string() } else { format_line(recording) });
    };
    if balancer.visit_recordings(selection, states, print).await? == 0 {
        print_note("No recordings");
    }
    Ok(())
}

/// A recording as one line: id, state, meeting, formats, and whether it is protected.
fn format_line(recording: &Recording) -> String {
    let formats: Vec<&str> =
        recording.formats.iter().map(|format| format.format.as_str()).collect();
    let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
    let (state, meeting) = (text(&recording.state), text(&recording.meeting_id));
    let protection = if recording.protected { "\tprotected" } else { "" };
    let id = printable(&recording.record_id);
    format!("{id}\t{state}\t{meeting}\t{}{protection}", printable(&formats.join(",")))
}

fn to_json(recording: &Recording) -> Value {
    let metadata: BTreeMap<_, _> = recording.metadata.iter().cloned().collect();
    let format = |format: &PlaybackFormat| {
        json!({
            "type": format.format, "url": format.url, "length_min": format.length_minutes,
            "processing_time_ms": format.processing_time_ms, "size": format.size,
            "previews": format.thumbnails.len(),
        })
    };
    json!({
        "record_id": recording.record_id, "meeting_id": recording.meeting_id,
        "name": recording.name, "state": recording.state, "published": recording.published,
        "protected": recording.protected, "participants": recording.participants,
        "started_at_ms": recording.started_at.map(|time| time.0),
        "ended_at_ms": recording.ended_at.map(|time| time.0),
        "deleted_at_ms": recording.deleted_at.map(|time| time.0),
        "tenant": recording.tenant(), "metadata": metadata,
        "raw_size": recording.details.raw_size, "is_breakout": recording.details.is_breakout,
        "formats": recording.formats.iter().map(format).collect::<Vec<_>>(),
    })
}

fn unknown_recording(id: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: No recording found with id: {}", printable(id)))
}

/// Prints all details of a recording.
pub async fn show(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    let recording = balancer.find_recording(id).await?;
    let recording = recording.ok_or_else(|| unknown_recording(id))?;
    print_line(format!("{:#}", to_json(&recording)));
    Ok(())
}

/// Publishes or unpublishes recordings.
pub async fn set_published(
    balancer: &Balancer,
    ids: &[String],
    publish: bool,
) -> Result<(), CommandFailure> {
    let mut outcome = ChangedRecordings::default();
    for id in ids {
        outcome.add(id, balancer.publish_recording(id, publish).await?);
    }
    outcome.finish()
}

/// What became of the recordings of a list. One that fails does not keep others from being changed.
#[derive(Default)]
struct ChangedRecordings {
    failures: Vec<CommandFailure>,
}

impl ChangedRecordings {
    /// Adds the result for one recording: whether it exists.
    fn add(&mut self, id: &str, result: Changed) {
        match result {
            Ok(true) => {}
            Ok(false) => self.failures.push(unknown_recording(id)),
            Err(error) => {
                self.failures.push(CommandFailure(format!("ERROR: {}: {error}", printable(id))));
            }
        }
    }

    /// Prints all failures, the last one as the result.
    fn finish(mut self) -> Result<(), CommandFailure> {
        let Some(last) = self.failures.pop() else {
            print_line("OK");
            return Ok(());
        };
        self.failures.into_iter().for_each(|CommandFailure(text)| print_note(text));
        Err(last)
    }
}

async fn change_recordings(
    balancer: &Balancer,
    ids: &[String],
    change: &RecordingChange,
) -> Result<(), CommandFailure> {
    let changed = balancer.change_recordings(ids, change).await?;
    if let Some(id) = ids.iter().find(|id| !changed.contains(id)) {
        return Err(unknown_recording(id));
    }
    print_line("OK");
    Ok(())
}

/// Protects recordings or removes their protection.
pub async fn set_protected(
    balancer: &Balancer,
    ids: &[String],
    protected: bool,
) -> Result<(), CommandFailure> {
    let change = RecordingChange { protected: Some(protected), ..RecordingChange::default() };
    change_recordings(balancer, ids, &change).await
}

/// Sets metadata, or removes it if the value is empty.
pub async fn update_metadata(
    balancer: &Balancer,
    id: String,
    metadata: Vec<(String, String)>,
) -> Result<(), CommandFailure> {
    if metadata.iter().any(|(key, _)| RESERVED_KEYS.contains(&key.as_str())) {
        let reason = "ERROR: use `recordings add-to-tenant` to change tenant-id";
        return Err(CommandFailure(reason.to_owned()));
    }
    let metadata = metadata.into_iter();
    let metadata = metadata.map(|(key, value)| (key, (!value.is_empty()).then_some(value)));
    let change = RecordingChange { metadata: metadata.collect(), ..RecordingChange::default() };
    change_recordings(balancer, &[id], &change).await
}

/// Deletes recordings: moves their files to the trash if there is one and `erase` is not set, or removes
/// them.
pub async fn delete(
    balancer: &Balancer,
    ids: &[String],
    yes: bool,
    erase: bool,
) -> Result<(), CommandFailure> {
    if let Balancer::Here(context) = balancer {
        recording_store(context)?;
    }
    if !yes {
        print_line(
            "WARNING: You are trying to delete recordings with their files. Are you sure? (yes/no)",
        );
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    let mut outcome = ChangedRecordings::default();
    for id in ids {
        outcome.add(id, balancer.delete_recording(id, erase).await?);
    }
    outcome.finish()
}

/// Assigns recordings to a tenant: these, or all without a tenant.
pub async fn add_to_tenant(
    balancer: &Balancer,
    tenant: &str,
    ids: &[String],
) -> Result<(), CommandFailure> {
    let tenants = balancer.list_tenants().await?;
    let is_named = |candidate: &&domain::Tenant| {
        candidate.id == tenant || candidate.name.eq_ignore_ascii_case(tenant)
    };
    let unknown =
        || CommandFailure(format!("ERROR: No tenant found with id: {}", printable(tenant)));
    let tenant = tenants.iter().find(is_named).ok_or_else(unknown)?;
    let count = balancer.assign_recordings(tenant, ids).await?;
    print_line(format!("OK: {count}"));
    Ok(())
}

/// Compares the recordings in the database with their files, and repairs differences on request.
pub async fn check_files(
    context: &CommandContext,
    repair: bool,
    json: bool,
) -> Result<(), CommandFailure> {
    match report_files(context, repair, json).await? {
        0 => Ok(()),
        count => Err(CommandFailure(format!("{count} recordings do not match their files"))),
    }
}

/// Like [`check_files`], but returns how many recordings do not match their files.
pub async fn report_files(
    context: &CommandContext,
    repair: bool,
    json: bool,
) -> Result<usize, CommandFailure> {
    let (mut unrepaired, mut unknown) = (0, 0);
    let report = |report: &FaultReport| {
        let FaultReport { record_id, format, fault, repaired } = report;
        unrepaired += usize::from(!repaired);
        let unindexed = *fault == RecordingFault::Unknown;
        unknown += usize::from(unindexed);
        let fault = match fault {
            RecordingFault::NoFiles => "no files",
            RecordingFault::Misplaced => "files in the wrong place",
            RecordingFault::Deleted => "files of a deleted recording",
            RecordingFault::Unknown => "files of an unknown recording",
        };
        if json {
            let report = json!({
                "record_id": record_id, "format": format, "fault": fault, "repaired": repaired,
            });
            return print_line(report.to_string());
        }
        let result = match (*repaired, unindexed) {
            (true, _) => "\trepaired",
            (false, true) if repair => "\t`recordings index` writes its row",
            (false, _) => "",
        };
        print_line(format!("{}\t{}\t{fault}{result}", printable(record_id), printable(format)));
    };
    let store = recording_store(context)?;
    let found = recordings::check_recording_files(&context.app, store, repair, report).await?;
    if repair && found > 0 {
        let after = json!({ "differences": found });
        audit::record(&context.app, AuditEvent::new("recordings.repair").after(after)).await;
    }
    let links = recordings::list_refused_links(&context.app).await?;
    for link in &links {
        print_line(match json {
            true => json!({ "fault": "link not followed", "link": link }).to_string(),
            false => printable(link),
        });
    }
    if unknown > 0 && !repair {
        print_note(format!("`recordings index` writes rows for {unknown} formats that have none"));
    }
    if found + links.len() == 0 {
        print_note("Database and files match");
    }
    Ok(unrepaired + links.len())
}

/// Deletes recordings whose meetings ended more than `days` days ago.
pub async fn apply_retention(
    context: &CommandContext,
    days: u32,
    selection: &RecordingSelection,
    dry_run: bool,
) -> Result<(), CommandFailure> {
    let (filter, scope) = build_filter(selection, RecordingStates::Usual);
    let rule = Retention { filter, scope, keep_ms: i64::from(days) * DAY_MS };
    let report = |recording: &Recording| print_line(format_line(recording));
    let (app, store) = (&context.app, recording_store(context)?);
    let count = delete_expired(app, store, &rule, usize::MAX, report, dry_run).await?;
    let outcome = if dry_run { "would be deleted" } else { "deleted" };
    print_note(format!("{count} recordings {outcome}"));
    Ok(())
}
