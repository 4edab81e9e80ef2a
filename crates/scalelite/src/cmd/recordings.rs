//! `recordings`: what is there, what is done with it, and whether rows and files fit together.

use std::collections::BTreeMap;

use app::admin::recordings::{self, FaultReport, RecordingFault};
use app::ports::{RecordingStore, TrashedRecording, Visibility};
use app::recordings::file_moves::{self, FileMoveError};
use app::recordings::retention::{Retention, delete_expired};
use domain::recording::catalog::{
    MetadataMatch, RESERVED_KEYS, RecordingChange, RecordingFilter, RecordingStates, TenantScope,
};
use domain::recording::{PlaybackFormat, Recording};
use serde_json::{Value, json};

use crate::cli::library::RecordingSelection;
use crate::output::{print_line, print_note, printable};

use super::{CommandContext, CommandFailure, format_time, print_declined, read_confirmation};

/// Entries of the trash that are read at once.
const TRASH_PAGE_SIZE: u32 = 200;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

impl From<FileMoveError> for CommandFailure {
    fn from(error: FileMoveError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// Reads `KEY=VALUE`.
///
/// # Errors
/// When it is none.
pub fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is missing".to_owned());
    }
    Ok((key.to_lowercase(), value.to_owned()))
}

fn recording_store(session: &CommandContext) -> Result<&dyn RecordingStore, CommandFailure> {
    let none =
        || CommandFailure("ERROR: there is no database of recordings (DB_DISABLED)".to_owned());
    session.app.recording_store.as_deref().ok_or_else(none)
}

fn build_filter(
    which: &RecordingSelection,
    states: RecordingStates,
) -> (RecordingFilter, TenantScope) {
    let metadata = which.metadata.iter();
    let metadata = metadata.map(|(key, value)| (key.clone(), vec![MetadataMatch::parse(value)]));
    let filter = RecordingFilter {
        record_ids: Vec::new(),
        meeting_ids: which.meetings.clone(),
        states,
        metadata: metadata.collect(),
    };
    (filter, which.tenant.clone().map_or(TenantScope::All, TenantScope::Tenant))
}

/// Lists recordings.
pub async fn list(
    session: &CommandContext,
    which: &RecordingSelection,
    state: Vec<String>,
    json: bool,
) -> Result<(), CommandFailure> {
    let states = match state.as_slice() {
        [] => RecordingStates::Usual,
        some if some.iter().any(|one| one == "any") => RecordingStates::Any,
        _ => RecordingStates::Listed(state),
    };
    let (filter, scope) = build_filter(which, states);
    let records = recording_store(session)?;
    let mut after = None;
    loop {
        let (page, cursor) =
            recordings::list_page(records, &filter, &scope, after.as_ref()).await?;
        page.iter().for_each(|one| {
            print_line(if json { to_json(one).to_string() } else { format_line(one) })
        });
        match cursor {
            Some(cursor) => after = Some(cursor),
            None if after.is_none() => {
                print_note("No recordings");
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// One line: id, state, meeting and formats.
fn format_line(recording: &Recording) -> String {
    let formats: Vec<&str> = recording.formats.iter().map(|one| one.format.as_str()).collect();
    let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
    let (state, meeting) = (text(&recording.state), text(&recording.meeting_id));
    let lock = if recording.protected { "\tprotected" } else { "" };
    let id = printable(&recording.record_id);
    format!("{id}\t{state}\t{meeting}\t{}{lock}", printable(&formats.join(",")))
}

fn to_json(recording: &Recording) -> Value {
    let metadata: BTreeMap<_, _> = recording.metadata.iter().cloned().collect();
    let format = |one: &PlaybackFormat| {
        json!({
            "type": one.format, "url": one.url, "length_min": one.length_minutes,
            "processing_time_ms": one.processing_time_ms, "size": one.size,
            "previews": one.thumbnails.len(),
        })
    };
    json!({
        "record_id": recording.record_id, "meeting_id": recording.meeting_id,
        "name": recording.name, "state": recording.state, "published": recording.published,
        "protected": recording.protected, "participants": recording.participants,
        "started_at_ms": recording.started_at.map(|at| at.0),
        "ended_at_ms": recording.ended_at.map(|at| at.0),
        "deleted_at_ms": recording.deleted_at.map(|at| at.0),
        "tenant": recording.tenant(), "metadata": metadata,
        "raw_size": recording.details.raw_size, "is_breakout": recording.details.is_breakout,
        "formats": recording.formats.iter().map(format).collect::<Vec<_>>(),
    })
}

fn unknown_recording(id: &str) -> CommandFailure {
    CommandFailure(format!("ERROR: No recording found with id: {}", printable(id)))
}

/// Shows a recording.
pub async fn show(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    let found =
        recording_store(session)?.find_recording(id).await?.ok_or_else(|| unknown_recording(id))?;
    print_line(format!("{:#}", to_json(&found)));
    Ok(())
}

/// Publishes recordings or hides them.
pub async fn set_published(
    session: &CommandContext,
    ids: &[String],
    publish: bool,
) -> Result<(), CommandFailure> {
    let shelf = if publish { Visibility::Published } else { Visibility::Unpublished };
    for id in ids {
        if !recordings::set_visibility(&session.app, recording_store(session)?, id, shelf).await? {
            return Err(unknown_recording(id));
        }
    }
    print_line("OK");
    Ok(())
}

async fn change_recordings(
    session: &CommandContext,
    ids: &[String],
    change: &RecordingChange,
) -> Result<(), CommandFailure> {
    let changed =
        recording_store(session)?.change_recordings(ids, &TenantScope::All, change).await?;
    if let Some(id) = ids.iter().find(|id| !changed.contains(id)) {
        return Err(unknown_recording(id));
    }
    print_line("OK");
    Ok(())
}

/// Protects recordings, or no longer.
pub async fn set_protected(
    session: &CommandContext,
    ids: &[String],
    on: bool,
) -> Result<(), CommandFailure> {
    change_recordings(
        session,
        ids,
        &RecordingChange { protected: Some(on), ..RecordingChange::default() },
    )
    .await
}

/// Sets and removes metadata.
pub async fn update_metadata(
    session: &CommandContext,
    id: String,
    metadata: Vec<(String, String)>,
) -> Result<(), CommandFailure> {
    if metadata.iter().any(|(key, _)| RESERVED_KEYS.contains(&key.as_str())) {
        let text = "ERROR: tenant-id is changed by `recordings add-to-tenant`";
        return Err(CommandFailure(text.to_owned()));
    }
    let metadata = metadata.into_iter();
    let metadata = metadata.map(|(key, value)| (key, (!value.is_empty()).then_some(value)));
    change_recordings(
        session,
        &[id],
        &RecordingChange { metadata: metadata.collect(), ..RecordingChange::default() },
    )
    .await
}

/// Deletes recordings: into the trash, if there is one, or for good.
pub async fn delete(
    session: &CommandContext,
    ids: &[String],
    yes: bool,
    erase: bool,
) -> Result<(), CommandFailure> {
    let records = recording_store(session)?;
    if !yes {
        print_line(
            "WARNING: You are trying to delete recordings with their files. Are you sure? (yes/no)",
        );
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    for id in ids {
        let app = &session.app;
        let found = match erase {
            true => file_moves::erase_recording(app, records, id).await?,
            false => file_moves::delete_recording(app, records, id, &TenantScope::All).await?,
        };
        if !found {
            return Err(unknown_recording(id));
        }
    }
    print_line("OK");
    Ok(())
}

/// Brings recordings back from the trash.
pub async fn restore(session: &CommandContext, ids: &[String]) -> Result<(), CommandFailure> {
    for id in ids {
        if !file_moves::restore_recording(&session.app, recording_store(session)?, id).await? {
            return Err(CommandFailure(format!(
                "ERROR: It is not in the trash: {}",
                printable(id)
            )));
        }
    }
    print_line("OK");
    Ok(())
}

/// Lists what is in the trash: id, formats, and when its files go.
pub async fn list_trash(session: &CommandContext, json: bool) -> Result<(), CommandFailure> {
    let records = recording_store(session)?;
    let keep_ms = session.app.policy.recordings.trash_ms;
    let mut after = None::<String>;
    loop {
        let page = records.list_trash(after.as_deref(), TRASH_PAGE_SIZE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for TrashedRecording { record_id, formats, deleted_at: since } in &page {
            let until = since.plus_ms(keep_ms);
            print_line(match json {
                true => json!({
                    "record_id": record_id, "formats": formats, "deleted_at_ms": since.0,
                    "until_ms": until.0,
                })
                .to_string(),
                false => {
                    let formats = printable(&formats.join(","));
                    format!("{}\t{formats}\tuntil {}", printable(record_id), format_time(until))
                }
            });
        }
    }
    if after.is_none() {
        print_note("Nothing is in the trash");
    }
    Ok(())
}

/// Gives recordings to a tenant.
pub async fn add_to_tenant(
    session: &CommandContext,
    tenant: &str,
    ids: &[String],
) -> Result<(), CommandFailure> {
    let tenants = session.app.tenants.list_tenants().await?;
    let named = |one: &&domain::Tenant| one.id == tenant || one.name.eq_ignore_ascii_case(tenant);
    let none = || CommandFailure(format!("ERROR: No tenant found with id: {}", printable(tenant)));
    let tenant = tenants.iter().find(named).ok_or_else(none)?;
    let count = recordings::add_to_tenant(recording_store(session)?, &tenant.id, ids).await?;
    print_line(format!("OK: {count}"));
    Ok(())
}

/// Compares rows and files.
pub async fn check_files(
    session: &CommandContext,
    repair: bool,
    json: bool,
) -> Result<(), CommandFailure> {
    let mut left = 0;
    let tell = |found: &FaultReport| {
        let FaultReport { record_id, format, fault, repaired } = found;
        left += usize::from(!repaired);
        let fault = match fault {
            RecordingFault::NoFiles => "no files",
            RecordingFault::Misplaced => "files in the wrong place",
            RecordingFault::Deleted => "files of a deleted recording",
            RecordingFault::Unknown => "files of nothing that is known",
        };
        if json {
            let found = json!({
                "record_id": record_id, "format": format, "fault": fault, "repaired": repaired,
            });
            return print_line(found.to_string());
        }
        let done = if *repaired { "\trepaired" } else { "" };
        print_line(format!("{}\t{}\t{fault}{done}", printable(record_id), printable(format)));
    };
    let found =
        recordings::check_recording_files(&session.app, recording_store(session)?, repair, tell)
            .await?;
    match (found, left) {
        (0, _) => print_note("Everything fits"),
        (_, 0) => {}
        (_, left) => return Err(CommandFailure(format!("{left} do not fit"))),
    }
    Ok(())
}

/// Deletes what is old.
pub async fn apply_retention(
    session: &CommandContext,
    days: u32,
    which: &RecordingSelection,
    dry_run: bool,
) -> Result<(), CommandFailure> {
    let (filter, scope) = build_filter(which, RecordingStates::Usual);
    let rule = Retention { filter, scope, keep_ms: i64::from(days) * DAY_MS };
    let tell = |recording: &Recording| print_line(format_line(recording));
    let (app, records) = (&session.app, recording_store(session)?);
    let count = delete_expired(app, records, &rule, usize::MAX, tell, dry_run).await?;
    print_note(format!("{count} recordings {}", if dry_run { "would go" } else { "deleted" }));
    Ok(())
}
