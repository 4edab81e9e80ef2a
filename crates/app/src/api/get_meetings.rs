//! `getMeetings`: all servers are called at the same time, and their meetings are sent to the
//! client as they arrive. A server that fails or is slow is left out, which is logged. Tenants see
//! only their own meetings. Calls at the same time share the requests to the servers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bbb::meetings::MeetingList;
use bbb::response::build_success;
use bytes::Bytes;
use domain::{AdminState, Server};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use tokio::time::timeout;

use super::errors::ApiError;
use crate::backend::CallOptions;
use crate::context::App;
use crate::ports::CallPriority;
use crate::state::{ServedMeeting, ServedMeetings};
use crate::tenancy::Caller;

/// How long servers may take. Clients give up after 10 s.
const SERVER_TIMEOUT: Duration = Duration::from_secs(8);

/// The message of an empty list, in the words of BBB.
pub const NO_MEETINGS_MESSAGE: &str = "no meetings were found on this server";

/// Builds the response without any meeting: clients need both the empty container and the message
/// key.
#[must_use]
pub fn no_meetings_response() -> String {
    build_success(&[
        ("messageKey", "noMeetings"),
        ("message", NO_MEETINGS_MESSAGE),
        ("meetings", ""),
    ])
}

/// Returns the response in chunks.
///
/// # Errors
/// When the store fails. Servers that fail are left out.
pub async fn get_meetings(
    app: &App,
    caller: &Caller,
) -> Result<BoxStream<'static, Bytes>, ApiError> {
    let mut servers = app.pool.list_servers().await?;
    servers.retain(|server| server.is_online() && server.state != AdminState::Disabled);
    let replies: FuturesUnordered<_> = servers
        .into_iter()
        .map(|server| {
            let id = server.id.clone();
            app.shared_lists.join(&id, fetch_list(app.clone(), server))
        })
        .collect();
    // A meeting that two entries of one server report is listed once.
    let mut listed = HashSet::new();
    let tenant = caller.tenant_id().map(str::to_owned);
    let replies =
        replies.map(move |meetings| join_new_elements(&meetings, tenant.as_deref(), &mut listed));
    let replies = replies.filter(|elements| std::future::ready(!elements.is_empty()));
    // `None` marks the end of the list.
    let parts = replies.map(Some).chain(stream::iter([None]));
    let chunks = parts.scan(false, |has_started, part| {
        let text = match (part, std::mem::replace(has_started, true)) {
            (Some(elements), true) => elements,
            (Some(elements), false) => {
                format!("<response><returncode>SUCCESS</returncode><meetings>{elements}")
            }
            (None, true) => "</meetings></response>".to_owned(),
            (None, false) => no_meetings_response(),
        };
        std::future::ready(Some(Bytes::from(text)))
    });
    Ok(chunks.boxed())
}

/// Joins the elements of a tenant's meetings, or without multitenancy of those that belong to no tenant, as far as they are not
/// listed yet.
fn join_new_elements(
    meetings: &ServedMeetings,
    tenant: Option<&str>,
    listed: &mut HashSet<String>,
) -> String {
    let visible = meetings.iter().filter(|meeting| meeting.tenant.as_deref() == tenant);
    let new = visible.filter(|meeting| {
        meeting.internal_id.is_empty() || listed.insert(meeting.internal_id.clone())
    });
    new.map(|meeting| meeting.element.as_str()).collect()
}

/// Returns the meetings of one server; none if the server fails.
async fn fetch_list(app: App, server: Server) -> ServedMeetings {
    let options = CallOptions {
        priority: CallPriority::FrontEnd,
        timeouts: app.policy.timeouts_for(server.is_online()),
    };
    let response = timeout(SERVER_TIMEOUT, app.fetch_meetings(&server, options)).await;
    let response = match response {
        Ok(response) => response.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no response within {} s", SERVER_TIMEOUT.as_secs())),
    };
    let meetings = response
        .and_then(|response| app.read_meeting_list(&response).map_err(|error| error.to_string()));
    match meetings {
        Ok(meetings) => {
            app.note_odd_list(&server, &meetings);
            Arc::new(served_meetings(&app, &server, &meetings))
        }
        Err(error) => {
            let host = server.hostname();
            tracing::warn!(server = %server.id, host, error, "server left out of getMeetings");
            ServedMeetings::default()
        }
    }
}

/// Returns the meetings as they may be passed on. Meetings that cannot be read, and broken parts of others, are left out.
fn served_meetings(app: &App, server: &Server, list: &MeetingList) -> Vec<ServedMeeting> {
    let served = list.meetings.iter().filter_map(|meeting| {
        let element = list.well_formed_element(meeting);
        if !matches!(element, Some(Cow::Borrowed(_))) {
            app.note_odd_answer(server, "getMeetings", "not well-formed");
        }
        Some(ServedMeeting {
            tenant: meeting.meta("tenant-id").map(str::to_owned),
            internal_id: meeting.internal_id.clone(),
            element: element?.into_owned(),
        })
    });
    served.collect()
}
