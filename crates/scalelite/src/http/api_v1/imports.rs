//! Archives of recordings: how their imports go, and another attempt.

use app::admin::imports as admin;
use app::ports::ArchiveRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;
use super::recordings::store;
use super::views::show_time;

/// Most archives that are looked at.
const MAX_ARCHIVES: u32 = 10_000;

/// An archive.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Archive")]
pub(super) struct ArchiveView {
    name: String,
    /// received, importing, done, quarantined or aside.
    state: &'static str,
    attempts: u32,
    size: u64,
    received_at: String,
    changed_at: String,
    /// Why the last import failed, or what it left out.
    reason: Option<String>,
}

fn view(archive: ArchiveRecord) -> ArchiveView {
    ArchiveView {
        name: archive.name,
        state: archive.stage.name(),
        attempts: archive.attempts,
        size: archive.size,
        received_at: show_time(archive.received_at),
        changed_at: show_time(archive.changed_at),
        reason: archive.reason,
    }
}

/// Which archives are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ArchiveQuery {
    /// Only those in this state.
    state: Option<ArchiveState>,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

/// How the import of an archive goes.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ArchiveState {
    Received,
    Importing,
    Done,
    Quarantined,
    Aside,
}

impl ArchiveState {
    fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Importing => "importing",
            Self::Done => "done",
            Self::Quarantined => "quarantined",
            Self::Aside => "aside",
        }
    }
}

pub(super) async fn list(
    call: Call,
    query: ArchiveQuery,
    _: Nothing,
) -> Result<Reply<Page<ArchiveView>>, Problem> {
    call.require_all_tenants()?;
    let mut archives = store(&call)?.list_archives(MAX_ARCHIVES).await?;
    let is_wanted = |archive: &ArchiveRecord| {
        query.state.is_none_or(|state| state.name() == archive.stage.name())
    };
    archives.retain(is_wanted);
    let key = |archive: &ArchiveRecord| archive.name.clone();
    let page = cut_page(archives, key, query.limit, query.cursor.as_deref())?;
    Ok(page.map(view).into())
}

pub(super) async fn retry(call: Call, _: Nothing, _: Nothing) -> Result<Reply<NoContent>, Problem> {
    call.require_all_tenants()?;
    let importer = call.state.administration.importer.as_ref();
    let importer = importer
        .ok_or_else(|| Problem::conflict("no-recordings", "this process imports no recordings"))?;
    let released = admin::retry(call.app(), importer, call.part(0)).await;
    match released.map_err(Problem::unavailable)? {
        Some(_) => Ok(NoContent.into()),
        None => Err(Problem::not_found("archive in quarantine or aside")),
    }
}
