//! Who has changed what.

use app::audit::{AuditFilter, list_page};
use app::ports::{AuditPosition, AuditRecord};
use domain::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::paging::{Page, bad_cursor, from_cursor, page_size, to_cursor};
use super::problem::Problem;
use super::views::{read_time, show_time};

/// A change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub(super) struct ChangeView {
    id: String,
    at: String,
    /// `token NAME`, `user@host`, `api ADDRESS`, `front-end ADDRESS` or `automatic: REASON`.
    actor: String,
    /// E.g. `server.update`.
    action: String,
    target: TargetView,
    /// What differed before, without secrets.
    before: Option<Value>,
    /// What differs since.
    after: Option<Value>,
    request_id: Option<String>,
}

/// What a change concerned.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangeTarget")]
struct TargetView {
    server: Option<String>,
    host: Option<String>,
    meeting: Option<String>,
    tenant: Option<String>,
    recording: Option<String>,
    name: Option<String>,
}

fn view(record: AuditRecord) -> ChangeView {
    let side = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let target = record.target;
    ChangeView {
        id: record.id,
        at: show_time(record.at),
        actor: record.actor,
        action: record.action,
        target: TargetView {
            server: target.server,
            host: target.host,
            meeting: target.meeting,
            tenant: target.tenant,
            recording: target.recording,
            name: target.name,
        },
        before: side(record.before),
        after: side(record.after),
        request_id: record.request_id,
    }
}

/// Which changes are wanted: those that meet all conditions that are given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// From when on, e.g. 2026-12-01T08:00:00Z.
    #[schemars(regex(pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"))]
    since: Option<String>,
    /// Until before when.
    #[schemars(regex(pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"))]
    until: Option<String>,
    /// The id or host name of a server.
    #[schemars(length(max = 255))]
    server: Option<String>,
    /// The id of a meeting.
    #[schemars(length(max = 1000))]
    meeting: Option<String>,
    /// The id of a tenant.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
    /// The id of a recording.
    #[schemars(length(max = 255))]
    recording: Option<String>,
    /// Who made the change, or the beginning of that.
    #[schemars(length(max = 255))]
    actor: Option<String>,
    /// What was done, or the beginning of that.
    #[schemars(length(max = 255))]
    action: Option<String>,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

fn read_cursor(cursor: &str) -> Result<AuditPosition, Problem> {
    let text = from_cursor(cursor)?;
    let (ms, id) = text.split_once(' ').ok_or_else(bad_cursor)?;
    let at = Timestamp(ms.parse().map_err(|_| bad_cursor())?);
    Ok(AuditPosition { at, id: id.to_owned() })
}

pub(super) async fn list(
    call: Call,
    query: AuditQuery,
    _: Nothing,
) -> Result<Reply<Page<ChangeView>>, Problem> {
    let time =
        |name: &str, text: Option<String>| text.map(|text| read_time(name, &text)).transpose();
    let filter = AuditFilter {
        since: time("since", query.since)?,
        until: time("until", query.until)?,
        server: query.server,
        meeting: query.meeting,
        tenant: query.tenant,
        recording: query.recording,
        actor: query.actor,
        action: query.action,
    };
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let (records, next) = list_page(call.app(), &filter, after, page_size(query.limit)).await?;
    let next = next.map(|place| to_cursor(&format!("{} {}", place.at.0, place.id)));
    Ok(Page { items: records.into_iter().map(view).collect(), next }.into())
}
