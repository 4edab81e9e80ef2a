//! Recordings, here and there.

use app::admin::recordings;
use app::ports::Visibility;
use app::recordings::trash_time::find_trash_ms;
use app::recordings::{changes, file_moves};
use domain::recording::Recording;
use domain::recording::catalog::{RecordingChange, RecordingStates, TenantScope};
use domain::{Tenant, Timestamp};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answers::{RecordingAnswer, TrashAnswer};
use super::remote::segment;
use super::{Balancer, CommandFailure};
use crate::cli::recordings::RecordingSelection;
use crate::cmd::recordings::{build_filter, recording_store};

/// Number of entries of the trash that are read at a time.
const TRASH_PAGE_SIZE: u32 = 200;

/// What became of one recording: whether it exists, or why it was not changed.
pub type Changed = Result<bool, String>;

#[derive(Deserialize)]
struct CountAnswer {
    recordings: usize,
}

/// A deleted recording that can be restored.
pub struct RestorableRecording {
    /// The recording.
    pub record_id: String,
    /// The formats that it had.
    pub formats: Vec<String>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// When its files will be removed.
    pub until: Timestamp,
}

fn path(id: &str) -> String {
    format!("/recordings/{}", segment(id))
}

impl Balancer {
    /// Shows the recordings of a selection one after the other, the newest first; returns how many there are.
    pub async fn visit_recordings(
        &self,
        selection: &RecordingSelection,
        states: Vec<String>,
        mut visit: impl FnMut(&Recording),
    ) -> Result<usize, CommandFailure> {
        let context = match self {
            Self::Here(context) => context,
            Self::There(remote) => {
                let query = to_query(selection, &states);
                let query: Vec<_> = query.iter().map(|(name, it)| (*name, it.as_str())).collect();
                let list: Vec<RecordingAnswer> = remote.list("/recordings", &query).await?;
                let count = list.len();
                list.into_iter().for_each(|it| visit(&it.into()));
                return Ok(count);
            }
        };
        let states = match states.as_slice() {
            [] => RecordingStates::Usual,
            listed if listed.iter().any(|state| state == "any") => RecordingStates::Any,
            _ => RecordingStates::Listed(states),
        };
        let (filter, scope) = build_filter(selection, states);
        let store = recording_store(context)?;
        let (mut after, mut count) = (None, 0);
        loop {
            let (page, cursor) =
                recordings::list_page(store, &filter, &scope, after.as_ref()).await?;
            page.iter().for_each(&mut visit);
            count += page.len();
            match cursor {
                Some(cursor) => after = Some(cursor),
                None => return Ok(count),
            }
        }
    }

    /// The recording with this id.
    pub async fn find_recording(&self, id: &str) -> Result<Option<Recording>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(recording_store(context)?.find_recording(id).await?),
            Self::There(remote) => match remote.get::<RecordingAnswer>(&path(id), &[]).await {
                Err(error) if error.is("not-found") => Ok(None),
                found => Ok(Some(found?.into())),
            },
        }
    }

    /// Publishes or unpublishes a recording.
    pub async fn publish_recording(
        &self,
        id: &str,
        publish: bool,
    ) -> Result<Changed, CommandFailure> {
        match self {
            Self::Here(context) => {
                let visibility =
                    if publish { Visibility::Published } else { Visibility::Unpublished };
                let store = recording_store(context)?;
                let set = recordings::set_visibility(&context.app, store, id, visibility).await;
                Ok(set.map_err(|error| error.to_string()))
            }
            Self::There(_) => self.patch_recording(id, &json!({ "published": publish })).await,
        }
    }

    /// Changes metadata or protection of recordings; returns the ids of those that exist.
    pub async fn change_recordings(
        &self,
        ids: &[String],
        change: &RecordingChange,
    ) -> Result<Vec<String>, CommandFailure> {
        if let Self::Here(context) = self {
            let store = recording_store(context)?;
            let (app, scope) = (&context.app, TenantScope::All);
            return Ok(changes::change_recordings(app, store, ids, &scope, change).await?);
        }
        let metadata: Map<String, Value> =
            change.metadata.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let mut body = json!({ "metadata": metadata });
        if let Some(protected) = change.protected {
            body["protected"] = json!(protected);
        }
        let mut changed = Vec::new();
        for id in ids {
            match self.patch_recording(id, &body).await? {
                Ok(true) => changed.push(id.clone()),
                Ok(false) => {}
                Err(reason) => return Err(CommandFailure(format!("ERROR: {reason}"))),
            }
        }
        Ok(changed)
    }

    async fn patch_recording(&self, id: &str, body: &Value) -> Result<Changed, CommandFailure> {
        let Self::There(remote) = self else { return Ok(Ok(false)) };
        match remote.change(Method::PATCH, &path(id), Some(body)).await {
            Ok(_) => Ok(Ok(true)),
            // What is deleted is not changed, as if it did not exist.
            Err(error) if error.is("not-found") || error.is("deleted") => Ok(Ok(false)),
            Err(error) if error.is("no-files") => Ok(Err(error.detail().to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a recording; with `erase` also from the trash.
    pub async fn delete_recording(&self, id: &str, erase: bool) -> Result<Changed, CommandFailure> {
        match self {
            Self::Here(context) => {
                let (app, store) = (&context.app, recording_store(context)?);
                let deleted = match erase {
                    true => file_moves::erase_recording(app, store, id).await,
                    false => file_moves::delete_recording(app, store, id, &TenantScope::All).await,
                };
                Ok(deleted.map_err(|error| error.to_string()))
            }
            Self::There(remote) => {
                let query = [("erase", if erase { "true" } else { "false" })];
                match remote.delete(&path(id), &query).await {
                    Ok(()) => Ok(Ok(true)),
                    Err(error) if error.is("not-found") => Ok(Ok(false)),
                    Err(error) if error.is("no-files") => Ok(Err(error.detail().to_owned())),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Restores a recording from the trash; false if it is not there.
    pub async fn restore_recording(&self, id: &str) -> Result<bool, CommandFailure> {
        match self {
            Self::Here(context) => {
                let store = recording_store(context)?;
                Ok(file_moves::restore_recording(&context.app, store, id).await?)
            }
            Self::There(remote) => {
                let path = format!("{}/restore", path(id));
                match remote.post::<Value>(&path, &json!({})).await {
                    Err(error) if error.is("not-found") => Ok(false),
                    restored => Ok(restored.map(|_| true)?),
                }
            }
        }
    }

    /// Shows what is in the trash; returns how many recordings there are.
    pub async fn visit_trash(
        &self,
        mut visit: impl FnMut(&RestorableRecording),
    ) -> Result<usize, CommandFailure> {
        let context = match self {
            Self::Here(context) => context,
            Self::There(remote) => {
                let list: Vec<TrashAnswer> = remote.list("/trash", &[]).await?;
                let count = list.len();
                for TrashAnswer { record_id, formats, deleted_at, until } in list {
                    visit(&RestorableRecording { record_id, formats, deleted_at, until });
                }
                return Ok(count);
            }
        };
        let store = recording_store(context)?;
        let keep_ms = find_trash_ms(store, context.app.policy.recordings.trash_ms).await?;
        let (mut after, mut count) = (None::<String>, 0);
        loop {
            let page = store.list_trash(after.as_deref(), TRASH_PAGE_SIZE).await?;
            let Some(last) = page.last() else { return Ok(count) };
            after = Some(last.record_id.clone());
            count += page.len();
            for entry in page {
                visit(&RestorableRecording {
                    until: entry.deleted_at.plus_ms(keep_ms),
                    record_id: entry.record_id,
                    formats: entry.formats,
                    deleted_at: entry.deleted_at,
                });
            }
        }
    }

    /// Assigns recordings to a tenant, or all that have none; returns how many.
    pub async fn assign_recordings(
        &self,
        tenant: &Tenant,
        ids: &[String],
    ) -> Result<usize, CommandFailure> {
        match self {
            Self::Here(context) => {
                let store = recording_store(context)?;
                Ok(recordings::add_to_tenant(&context.app, store, &tenant.id, ids).await?)
            }
            Self::There(remote) => {
                let body = json!({ "tenant": tenant.id, "record_ids": ids });
                let answer: CountAnswer = remote.post("/recording-assignments", &body).await?;
                Ok(answer.recordings)
            }
        }
    }
}

/// A selection as the API reads it.
fn to_query(selection: &RecordingSelection, states: &[String]) -> Vec<(&'static str, String)> {
    let RecordingSelection { meetings, tenant, metadata } = selection;
    let metadata: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let states = match states.iter().any(|state| state == "any") {
        true => "any".to_owned(),
        false => states.join(","),
    };
    let fields = [
        ("meeting_id", meetings.join("\n")),
        ("tenant", tenant.clone().unwrap_or_default()),
        ("state", states),
        ("metadata", metadata.join("\n")),
    ];
    fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
