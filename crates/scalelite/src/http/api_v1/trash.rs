//! Deleted recordings whose files are still there, and recordings that get a tenant.

use app::admin::recordings as admin;
use app::admin::tenants;
use app::ports::TrashedRecording;
use app::recordings::file_moves::restore_recording;
use app::recordings::trash_time::find_trash_ms;
use domain::recording::catalog::TenantScope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::{Page, from_cursor, page_size, to_cursor};
use super::problem::Problem;
use super::recordings::store;
use super::views::show_time;

/// A recording in the trash.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrashedRecording")]
pub(super) struct TrashView {
    record_id: String,
    formats: Vec<String>,
    deleted_at: String,
    /// When its files will be removed.
    until: String,
}

/// A part of the trash.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrashQuery {
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

pub(super) async fn list(
    call: Call,
    query: TrashQuery,
    _: Nothing,
) -> Result<Reply<Page<TrashView>>, Problem> {
    call.require_all_tenants()?;
    let store = store(&call)?;
    let keep_ms = find_trash_ms(store, call.app().policy.recordings.trash_ms).await?;
    let after = query.cursor.as_deref().map(from_cursor).transpose()?;
    let size = page_size(query.limit);
    let max = u32::try_from(size + 1).unwrap_or(u32::MAX);
    let mut found = store.list_trash(after.as_deref(), max).await?;
    let has_more = found.len() > size;
    found.truncate(size);
    let next = found.last().filter(|_| has_more).map(|last| to_cursor(&last.record_id));
    let view = |TrashedRecording { record_id, formats, deleted_at }| TrashView {
        record_id,
        formats,
        until: show_time(deleted_at.plus_ms(keep_ms)),
        deleted_at: show_time(deleted_at),
    };
    Ok(Page { items: found.into_iter().map(view).collect(), next }.into())
}

pub(super) async fn restore(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    let store = store(&call)?;
    if let Some(tenant) = call.tenant() {
        let scope = TenantScope::Tenant(tenant.to_owned());
        let found = store.find_recording(call.part(0)).await?;
        if !found.is_some_and(|recording| scope.accepts(&recording)) {
            return Err(Problem::not_found("recording in the trash"));
        }
    }
    match restore_recording(call.app(), store, call.part(0)).await? {
        true => Ok(NoContent.into()),
        false => Err(Problem::not_found("recording in the trash")),
    }
}

/// Recordings that get a tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RecordingAssignment")]
pub(super) struct AssignmentBody {
    /// The id or name of the tenant.
    #[schemars(length(min = 1, max = 255))]
    tenant: String,
    /// The recordings; without any, all that have no tenant.
    #[serde(default)]
    #[schemars(length(max = 500))]
    record_ids: Vec<String>,
}

/// Recordings that a call was about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecordingCount")]
pub(super) struct RecordingCount {
    /// How many.
    recordings: usize,
}

pub(super) async fn assign(
    call: Call,
    _: Nothing,
    body: AssignmentBody,
) -> Result<Reply<RecordingCount>, Problem> {
    call.require_all_tenants()?;
    let is_named = |tenant: &domain::Tenant| {
        tenant.id == body.tenant || tenant.name.eq_ignore_ascii_case(&body.tenant)
    };
    let tenant = tenants::list(call.app()).await?.into_iter().find(is_named);
    let tenant = tenant.ok_or_else(|| Problem::invalid_value("/tenant", "there is no such one"))?;
    let recordings =
        admin::add_to_tenant(call.app(), store(&call)?, &tenant.id, &body.record_ids).await?;
    Ok(RecordingCount { recordings }.into())
}
