//! Meetings: list, show, end; and those that are not ours.

use std::collections::HashMap;

use app::admin::meetings as admin;
use app::ports::MeetingOnServer;
use domain::{Meeting, MeetingKey, ServerId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint::{Call, NoContent, Reply};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;
use super::views::{show_time, to_record};

/// A meeting of the pool.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Meeting")]
pub(super) struct MeetingView {
    /// `meetingID`, as the front-end gave it.
    id: String,
    /// The id of its tenant.
    tenant: Option<String>,
    server: String,
    host: Option<String>,
    /// As of the last poll, with joins since.
    users: u32,
    /// The most users that polls have found in it.
    peak_users: u32,
    /// How many users it was expected to draw.
    expected_users: u32,
    voice_bridge: Option<String>,
    placed_at: String,
    /// When its server confirmed it last.
    seen_at: String,
    /// Why it was placed there.
    placement_reason: String,
    /// Whether its first create is under way.
    is_being_created: bool,
    /// Whether its server is offline.
    is_detached: bool,
    /// Whether it was made anew because its server died.
    is_revived: bool,
    /// Whether it was found running, and nothing shows that this deployment created it.
    is_adopted: bool,
    /// What the store keeps of it, without passwords; versions may add to it.
    record: Map<String, Value>,
}

fn view(meeting: Meeting, host: Option<String>, now: Timestamp) -> MeetingView {
    let record = to_record(&meeting);
    MeetingView {
        record,
        users: meeting.load.users,
        peak_users: meeting.usage.peak_users,
        expected_users: meeting.load.expected_users,
        placed_at: show_time(meeting.placed_at),
        seen_at: show_time(meeting.seen_at),
        is_being_created: meeting.is_being_created(now),
        is_detached: meeting.detached,
        is_revived: meeting.is_revived(),
        is_adopted: meeting.origin.is_adopted,
        id: meeting.key.id,
        tenant: meeting.key.tenant,
        server: meeting.server.0,
        host,
        voice_bridge: meeting.voice_bridge,
        placement_reason: meeting.placement_reason,
    }
}

/// Which meetings are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MeetingQuery {
    /// Only those with this id.
    #[schemars(length(max = 1000))]
    id: Option<String>,
    /// Only those on the server with this id.
    #[schemars(length(max = 255))]
    server: Option<String>,
    /// Only those of the tenant with this id.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

fn sort_key(key: &MeetingKey) -> String {
    format!("{}\0{}", key.tenant.as_deref().unwrap_or_default(), key.id)
}

pub(super) async fn list(
    call: Call,
    query: MeetingQuery,
    _: Nothing,
) -> Result<Reply<Page<MeetingView>>, Problem> {
    let app = call.app();
    let server = query.server.map(ServerId);
    let mut meetings = app.pool.list_meetings(server.as_ref()).await?;
    let is_of = |meeting: &Meeting, tenant: Option<&str>| {
        tenant.is_none_or(|tenant| meeting.key.tenant.as_deref() == Some(tenant))
    };
    meetings.retain(|meeting| {
        is_of(meeting, call.tenant())
            && is_of(meeting, query.tenant.as_deref())
            && query.id.as_ref().is_none_or(|id| meeting.key.id == *id)
    });
    let hosts: HashMap<ServerId, String> = app
        .pool
        .list_servers()
        .await?
        .iter()
        .map(|server| (server.id.clone(), server.hostname().to_owned()))
        .collect();
    let key = |meeting: &Meeting| sort_key(&meeting.key);
    let page = cut_page(meetings, key, query.limit, query.cursor.as_deref())?;
    let now = app.clock.now();
    Ok(page.map(|meeting| view(meeting.clone(), hosts.get(&meeting.server).cloned(), now)).into())
}

/// Whose meeting is meant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    /// The id of its tenant; needed if several tenants have a meeting of this id.
    #[schemars(length(max = 255))]
    tenant: Option<String>,
}

/// Finds the meeting of the path.
pub(super) async fn find(call: &Call, query: &TenantQuery) -> Result<MeetingOnServer, Problem> {
    let mut found = admin::find(call.app(), call.part(0)).await?;
    for tenant in [call.tenant(), query.tenant.as_deref()].into_iter().flatten() {
        found.retain(|found| found.meeting.key.tenant.as_deref() == Some(tenant));
    }
    let first = found.pop().ok_or_else(|| Problem::not_found("meeting"))?;
    match found.is_empty() {
        true => Ok(first),
        false => {
            let detail = "several tenants have a meeting of this id: name one by ?tenant=";
            Err(Problem::conflict("ambiguous", detail))
        }
    }
}

pub(super) async fn get(
    call: Call,
    query: TenantQuery,
    _: Nothing,
) -> Result<Reply<MeetingView>, Problem> {
    let MeetingOnServer { meeting, server } = find(&call, &query).await?;
    let host = Some(server.hostname().to_owned());
    Ok(view(meeting, host, call.app().clock.now()).into())
}

pub(super) async fn end(
    call: Call,
    query: TenantQuery,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    let found = find(&call, &query).await?;
    admin::end(call.app(), &found.meeting).await?;
    Ok(NoContent.into())
}

/// What the server of a meeting says of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MeetingInfo")]
pub(super) struct InfoView {
    /// The answer to getMeetingInfo, as XML, without passwords.
    xml: String,
}

pub(super) async fn info(
    call: Call,
    query: TenantQuery,
    _: Nothing,
) -> Result<Reply<InfoView>, Problem> {
    let found = find(&call, &query).await?;
    let answer = admin::fetch_meeting_info(call.app(), &found).await?;
    Ok(InfoView { xml: hide_passwords(&String::from_utf8_lossy(&answer)) }.into())
}

/// Leaves the passwords of a meeting out of an answer of its server.
fn hide_passwords(xml: &str) -> String {
    let mut hidden = xml.to_owned();
    for name in ["attendeePW", "moderatorPW"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        if let Some((before, rest)) = hidden.split_once(&open)
            && let Some((_, after)) = rest.split_once(&close)
        {
            hidden = format!("{before}{open}***{close}{after}");
        }
    }
    hidden
}

/// A meeting that runs on a server and is not ours.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ForeignMeeting")]
pub(super) struct ForeignView {
    id: String,
    server: String,
}

pub(super) async fn list_foreign(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<Page<ForeignView>>, Problem> {
    call.require_all_tenants()?;
    let foreign = admin::list_foreign_meetings(call.app()).await?;
    let items = foreign.into_iter().map(|(server, id)| ForeignView { id, server: server.0 });
    // Servers list a limited number of meetings each.
    Ok(Page { items: items.take(MAX_FOREIGN).collect(), next: None }.into())
}

/// Most foreign meetings that are listed.
const MAX_FOREIGN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let xml = "<a><attendeePW>x</attendeePW><moderatorPW>y</moderatorPW><b/></a>";
        let hidden = "<a><attendeePW>***</attendeePW><moderatorPW>***</moderatorPW><b/></a>";
        assert_eq!(hide_passwords(xml), hidden);
        assert_eq!(hide_passwords("<a><attendeePW>x"), "<a><attendeePW>x");
    }
}
