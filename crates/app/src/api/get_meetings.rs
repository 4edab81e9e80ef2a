//! `getMeetings`: all servers are asked at once, and what each one sends is handed on as it comes.
//! A server that fails or is slow is left out, and the log says so. Tenants see their own meetings.

use std::time::Duration;

use bbb::meetings::MeetingList;
use bbb::response::{build_success, strip_illegal_characters};
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

/// Clients give up after 10 s; what is there by then must be on its way.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(8);

/// Message of an empty list, as BBB words it.
pub const NO_MEETINGS_MESSAGE: &str = "no meetings were found on this server";

/// The answer without any meeting: clients need container *and* key.
#[must_use]
pub fn no_meetings_response() -> String {
    build_success(&[
        ("messageKey", "noMeetings"),
        ("message", NO_MEETINGS_MESSAGE),
        ("meetings", ""),
    ])
}

/// The answer, piece by piece.
///
/// # Errors
/// When the store fails; failing servers are left out.
pub async fn get_meetings(
    app: &App,
    caller: &Caller,
) -> Result<BoxStream<'static, Bytes>, ApiError> {
    let mut servers = app.pool.list_servers().await?;
    servers.retain(|server| server.is_online() && server.state != AdminState::Disabled);
    let elements = |server| fetch_elements(app.clone(), caller.clone(), server).boxed();
    let asked: FuturesUnordered<_> = servers.into_iter().map(elements).collect();
    let found = asked.filter(|elements| std::future::ready(!elements.is_empty()));
    let pieces = found.map(Some).chain(stream::iter([None]));
    let answer = pieces.scan(false, |begun, piece| {
        let text = match (piece, std::mem::replace(begun, true)) {
            (Some(elements), true) => elements,
            (Some(elements), false) => {
                format!("<response><returncode>SUCCESS</returncode><meetings>{elements}")
            }
            (None, true) => "</meetings></response>".to_owned(),
            (None, false) => no_meetings_response(),
        };
        std::future::ready(Some(Bytes::from(text)))
    });
    Ok(answer.boxed())
}

/// The `<meeting>` elements of one server that may be shown; nothing if it fails.
async fn fetch_elements(app: App, caller: Caller, server: Server) -> String {
    let way = CallOptions {
        priority: CallPriority::FrontEnd,
        timeouts: app.policy.timeouts_for(server.is_online()),
    };
    let listed = timeout(CLIENT_TIMEOUT, app.fetch_meetings(&server, way)).await;
    let listed = match listed {
        Ok(listed) => listed.map_err(|error| error.to_string()),
        Err(_) => Err("no answer within a client's patience".to_owned()),
    };
    let read = listed
        .and_then(|answer| MeetingList::read(&answer.body).map_err(|error| error.to_string()));
    match read {
        Ok(meetings) => visible_elements(&meetings, caller.tenant_id()),
        Err(error) => {
            tracing::warn!(server = %server.id, error, "left out of getMeetings");
            String::new()
        }
    }
}

/// A tenant's meetings are for that tenant, and those of none for a balancer without tenants.
fn visible_elements(meetings: &MeetingList, tenant: Option<&str>) -> String {
    let shown = meetings.meetings.iter().filter(|meeting| meeting.meta("tenant-id") == tenant);
    shown.map(|meeting| strip_illegal_characters(meetings.element(meeting))).collect()
}
