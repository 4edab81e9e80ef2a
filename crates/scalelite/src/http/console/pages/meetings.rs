//! *Meetings*: all meetings, or those whose ids contain a text.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use domain::ServerId;

use super::super::session::Viewer;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use super::{DisplayNames, meeting_link, server_link};
use crate::http::state::HttpState;

/// Meetings that are listed at most; the largest ones.
const MAX_MEETINGS: usize = 200;

#[derive(Template)]
#[template(path = "console/meetings.html")]
struct MeetingsPage {
    meetings: Vec<MeetingRow>,
    found: usize,
    left_out: usize,
}

struct MeetingRow {
    id: String,
    link: String,
    tenant: String,
    host: String,
    host_link: String,
    users: u32,
    age: String,
    note: &'static str,
}

#[derive(Template)]
#[template(path = "console/search.html")]
struct Search<'a> {
    label: &'static str,
    text: &'a str,
}

pub(in super::super) async fn render(
    state: &Arc<HttpState>,
    viewer: &Viewer,
    part: &str,
) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    let servers = app.pool.list_servers().await?;
    let names = DisplayNames::new(&servers);
    let hosts: HashMap<&ServerId, String> =
        servers.iter().map(|server| (&server.id, names.find(server))).collect();
    let mut meetings = app.pool.list_meetings(None).await?;
    meetings.retain(|meeting| {
        viewer.sees_tenant(meeting.key.tenant.as_deref()) && meeting.key.id.contains(part)
    });
    meetings.sort_by_key(|meeting| std::cmp::Reverse(meeting.load.users));
    let row = |meeting: &domain::Meeting| MeetingRow {
        id: meeting.key.id.clone(),
        link: meeting_link(meeting.key.tenant.as_deref(), &meeting.key.id),
        tenant: meeting.key.tenant.clone().unwrap_or_default(),
        host: hosts.get(&meeting.server).cloned().unwrap_or_default(),
        host_link: server_link(&meeting.server.0),
        users: meeting.load.users,
        age: show::duration(now.ms_since(meeting.placed_at)),
        note: note_of(meeting, now),
    };
    let page = MeetingsPage {
        found: meetings.len(),
        left_out: meetings.len().saturating_sub(MAX_MEETINGS),
        meetings: meetings.iter().take(MAX_MEETINGS).map(row).collect(),
    };
    let search = Search { label: "Part of a meetingID", text: part };
    RenderedPage::new("Meetings", &page, Some(&search as _))
}

/// What is special about a meeting, in a word.
pub(super) fn note_of(meeting: &domain::Meeting, now: domain::Timestamp) -> &'static str {
    match meeting {
        meeting if meeting.is_being_created(now) => "being created",
        meeting if meeting.detached => "its server is offline",
        meeting if meeting.is_revived() => "revived",
        meeting if meeting.origin.is_adopted => "adopted",
        _ => "",
    }
}
