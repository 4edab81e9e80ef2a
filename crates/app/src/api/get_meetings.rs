//! `getMeetings`: all servers are called at the same time, and their meetings are sent to the
//! client as they arrive. A server that fails or is slow is left out, which is logged. Tenants see
//! only their own meetings.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use bbb::meetings::{ListedMeeting, MeetingList};
use bbb::response::build_success;
use bytes::Bytes;
use domain::{AdminState, Server};
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;

use super::errors::ApiError;
use crate::backend::CallOptions;
use crate::context::App;
use crate::ports::CallPriority;
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
    let elements = |server| fetch_elements(app.clone(), caller.clone(), server).boxed();
    let replies: FuturesUnordered<_> = servers.into_iter().map(elements).collect();
    // A meeting that two entries of one server report is listed once.
    let mut listed = HashSet::new();
    let replies = replies.map(move |elements| join_new_elements(elements, &mut listed));
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

/// A `<meeting>` element and its `internalMeetingID`.
type MeetingElement = (String, String);

/// Joins the elements of the meetings that are not listed yet.
fn join_new_elements(elements: Vec<MeetingElement>, listed: &mut HashSet<String>) -> String {
    let new = elements.into_iter().filter_map(|(element, internal_id)| {
        let is_new = internal_id.is_empty() || listed.insert(internal_id);
        is_new.then_some(element)
    });
    new.collect()
}

/// Returns the `<meeting>` elements of one server that the caller may see; none if the server fails.
async fn fetch_elements(app: App, caller: Caller, server: Server) -> Vec<MeetingElement> {
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
            visible_elements(&app, &server, &meetings, caller.tenant_id())
        }
        Err(error) => {
            let host = server.hostname();
            tracing::warn!(server = %server.id, host, error, "server left out of getMeetings");
            Vec::new()
        }
    }
}

/// Returns the elements of a tenant's meetings, or without multitenancy those of meetings that
/// belong to no tenant. Meetings that cannot be read, and broken parts of others, are left out.
fn visible_elements(
    app: &App,
    server: &Server,
    meetings: &MeetingList,
    tenant: Option<&str>,
) -> Vec<MeetingElement> {
    let visible = meetings.meetings.iter().filter(|meeting| meeting.meta("tenant-id") == tenant);
    let element = |meeting: &ListedMeeting| {
        let element = meetings.well_formed_element(meeting);
        if !matches!(element, Some(Cow::Borrowed(_))) {
            app.note_odd_answer(server, "getMeetings", "not well-formed");
        }
        Some((element?.into_owned(), meeting.internal_id.clone()))
    };
    visible.filter_map(element).collect()
}
