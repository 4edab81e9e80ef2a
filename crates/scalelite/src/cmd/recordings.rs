//! `recordings`: what is there, what is done with it, and whether rows and files fit together.

use std::collections::BTreeMap;

use app::admin::recordings::{self, Fault, Found};
use app::ports::{Records, Shelf, Trashed};
use app::recordings::retention::{Retention, retain};
use app::recordings::travel::{self, TravelError};
use domain::recording::library::{Change, Filter, RESERVED, Scope, States, Wanted};
use domain::recording::{PlaybackFormat, Recording};
use serde_json::{Value, json};

use crate::cli::library::Which;
use crate::output::{note, printable, say};

use super::{Failure, Session, clock_time, confirmed, declined};

/// Entries of the trash that are read at once.
const PAGE: u32 = 200;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

impl From<TravelError> for Failure {
    fn from(error: TravelError) -> Self {
        Self(format!("ERROR: {error}"))
    }
}

/// Reads `KEY=VALUE`.
///
/// # Errors
/// When it is none.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is missing".to_owned());
    }
    Ok((key.to_lowercase(), value.to_owned()))
}

fn records(session: &Session) -> Result<&dyn Records, Failure> {
    let none = || Failure("ERROR: there is no database of recordings (DB_DISABLED)".to_owned());
    session.app.records.as_deref().ok_or_else(none)
}

fn search(which: &Which, states: States) -> (Filter, Scope) {
    let metadata = which.metadata.iter();
    let metadata = metadata.map(|(key, value)| (key.clone(), vec![Wanted::parse(value)]));
    let filter = Filter {
        record_ids: Vec::new(),
        meeting_ids: which.meetings.clone(),
        states,
        metadata: metadata.collect(),
    };
    (filter, which.tenant.clone().map_or(Scope::All, Scope::Tenant))
}

/// Lists recordings.
pub async fn list(
    session: &Session,
    which: &Which,
    state: Vec<String>,
    json: bool,
) -> Result<(), Failure> {
    let states = match state.as_slice() {
        [] => States::Usual,
        some if some.iter().any(|one| one == "any") => States::Any,
        _ => States::These(state),
    };
    let (filter, scope) = search(which, states);
    let records = records(session)?;
    let mut after = None;
    loop {
        let (page, cursor) = recordings::next(records, &filter, &scope, after.as_ref()).await?;
        page.iter().for_each(|one| say(if json { shown(one).to_string() } else { line(one) }));
        match cursor {
            Some(cursor) => after = Some(cursor),
            None if after.is_none() => {
                note("No recordings");
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

/// One line: id, state, meeting and formats.
fn line(recording: &Recording) -> String {
    let formats: Vec<&str> = recording.formats.iter().map(|one| one.format.as_str()).collect();
    let text = |text: &Option<String>| printable(text.as_deref().unwrap_or("-"));
    let (state, meeting) = (text(&recording.state), text(&recording.meeting_id));
    let lock = if recording.protected { "\tprotected" } else { "" };
    let id = printable(&recording.record_id);
    format!("{id}\t{state}\t{meeting}\t{}{lock}", printable(&formats.join(",")))
}

fn shown(recording: &Recording) -> Value {
    let metadata: BTreeMap<_, _> = recording.metadata.iter().cloned().collect();
    let format = |one: &PlaybackFormat| {
        json!({
            "type": one.format, "url": one.url, "length_min": one.length,
            "processing_time_ms": one.processing_time, "size": one.size,
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
        "raw_size": recording.facts.raw_size, "is_breakout": recording.facts.is_breakout,
        "formats": recording.formats.iter().map(format).collect::<Vec<_>>(),
    })
}

fn unknown(id: &str) -> Failure {
    Failure(format!("ERROR: No recording found with id: {}", printable(id)))
}

/// Shows a recording.
pub async fn show(session: &Session, id: &str) -> Result<(), Failure> {
    let found = records(session)?.recording(id).await?.ok_or_else(|| unknown(id))?;
    say(format!("{:#}", shown(&found)));
    Ok(())
}

/// Publishes recordings or hides them.
pub async fn place(session: &Session, ids: &[String], publish: bool) -> Result<(), Failure> {
    let shelf = if publish { Shelf::Published } else { Shelf::Unpublished };
    for id in ids {
        if !recordings::place(&session.app, records(session)?, id, shelf).await? {
            return Err(unknown(id));
        }
    }
    say("OK");
    Ok(())
}

async fn change(session: &Session, ids: &[String], change: &Change) -> Result<(), Failure> {
    let changed = records(session)?.change_recordings(ids, &Scope::All, change).await?;
    if let Some(id) = ids.iter().find(|id| !changed.contains(id)) {
        return Err(unknown(id));
    }
    say("OK");
    Ok(())
}

/// Protects recordings, or no longer.
pub async fn protect(session: &Session, ids: &[String], on: bool) -> Result<(), Failure> {
    change(session, ids, &Change { protected: Some(on), ..Change::default() }).await
}

/// Sets and removes metadata.
pub async fn update(
    session: &Session,
    id: String,
    metadata: Vec<(String, String)>,
) -> Result<(), Failure> {
    if metadata.iter().any(|(key, _)| RESERVED.contains(&key.as_str())) {
        let text = "ERROR: tenant-id is changed by `recordings add-to-tenant`";
        return Err(Failure(text.to_owned()));
    }
    let metadata = metadata.into_iter();
    let metadata = metadata.map(|(key, value)| (key, (!value.is_empty()).then_some(value)));
    change(session, &[id], &Change { metadata: metadata.collect(), ..Change::default() }).await
}

/// Deletes recordings: into the trash, if there is one, or for good.
pub async fn delete(
    session: &Session,
    ids: &[String],
    yes: bool,
    erase: bool,
) -> Result<(), Failure> {
    let records = records(session)?;
    if !yes {
        say(
            "WARNING: You are trying to delete recordings with their files. Are you sure? (yes/no)",
        );
        if !confirmed() {
            declined();
            return Ok(());
        }
    }
    for id in ids {
        let app = &session.app;
        let found = match erase {
            true => travel::erase(app, records, id).await?,
            false => travel::delete(app, records, id, &Scope::All).await?,
        };
        if !found {
            return Err(unknown(id));
        }
    }
    say("OK");
    Ok(())
}

/// Brings recordings back from the trash.
pub async fn restore(session: &Session, ids: &[String]) -> Result<(), Failure> {
    for id in ids {
        if !travel::restore(&session.app, records(session)?, id).await? {
            return Err(Failure(format!("ERROR: It is not in the trash: {}", printable(id))));
        }
    }
    say("OK");
    Ok(())
}

/// Lists what is in the trash: id, formats, and when its files go.
pub async fn trash(session: &Session, json: bool) -> Result<(), Failure> {
    let records = records(session)?;
    let keep_ms = session.app.policy.recordings.trash_ms;
    let mut after = None::<String>;
    loop {
        let page = records.trash(after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for Trashed { record_id, formats, since } in &page {
            let until = since.plus_ms(keep_ms);
            say(match json {
                true => json!({
                    "record_id": record_id, "formats": formats, "deleted_at_ms": since.0,
                    "until_ms": until.0,
                })
                .to_string(),
                false => {
                    let formats = printable(&formats.join(","));
                    format!("{}\t{formats}\tuntil {}", printable(record_id), clock_time(until))
                }
            });
        }
    }
    if after.is_none() {
        note("Nothing is in the trash");
    }
    Ok(())
}

/// Gives recordings to a tenant.
pub async fn add_to_tenant(session: &Session, tenant: &str, ids: &[String]) -> Result<(), Failure> {
    let tenants = session.app.tenants.tenants().await?;
    let named = |one: &&domain::Tenant| one.id == tenant || one.name.eq_ignore_ascii_case(tenant);
    let none = || Failure(format!("ERROR: No tenant found with id: {}", printable(tenant)));
    let tenant = tenants.iter().find(named).ok_or_else(none)?;
    let count = recordings::add_to_tenant(records(session)?, &tenant.id, ids).await?;
    say(format!("OK: {count}"));
    Ok(())
}

/// Compares rows and files.
pub async fn check(session: &Session, repair: bool, json: bool) -> Result<(), Failure> {
    let mut left = 0;
    let tell = |found: &Found| {
        let Found { record_id, format, fault, repaired } = found;
        left += usize::from(!repaired);
        let fault = match fault {
            Fault::NoFiles => "no files",
            Fault::Misplaced => "files in the wrong place",
            Fault::Deleted => "files of a deleted recording",
            Fault::Unknown => "files of nothing that is known",
        };
        if json {
            let found = json!({
                "record_id": record_id, "format": format, "fault": fault, "repaired": repaired,
            });
            return say(found.to_string());
        }
        let done = if *repaired { "\trepaired" } else { "" };
        say(format!("{}\t{}\t{fault}{done}", printable(record_id), printable(format)));
    };
    let found = recordings::check(&session.app, records(session)?, repair, tell).await?;
    match (found, left) {
        (0, _) => note("Everything fits"),
        (_, 0) => {}
        (_, left) => return Err(Failure(format!("{left} do not fit"))),
    }
    Ok(())
}

/// Deletes what is old.
pub async fn retention(
    session: &Session,
    days: u32,
    which: &Which,
    dry_run: bool,
) -> Result<(), Failure> {
    let (filter, scope) = search(which, States::Usual);
    let rule = Retention { filter, scope, keep_ms: i64::from(days) * DAY_MS };
    let tell = |recording: &Recording| say(line(recording));
    let (app, records) = (&session.app, records(session)?);
    let count = retain(app, records, &rule, usize::MAX, tell, dry_run).await?;
    note(format!("{count} recordings {}", if dry_run { "would go" } else { "deleted" }));
    Ok(())
}
