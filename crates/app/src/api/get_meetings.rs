//! `getMeetings`: all servers are asked at once, and what each one sends is handed on as it comes.
//! A server that fails or is slow is left out, and the log says so.

use std::time::Duration;

use bbb::answer::{success, without_illegal};
use bbb::meetings::Meetings;
use bytes::Bytes;
use domain::{AdminState, Server};
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::timeout;

use super::errors::ApiError;
use crate::backend::Way;
use crate::context::App;
use crate::ports::Lane;

/// Clients give up after 10 s; what is there by then must be on its way.
const CLIENT_PATIENCE: Duration = Duration::from_secs(8);

/// Message of an empty list, as BBB words it.
pub const NO_MEETINGS: &str = "no meetings were found on this server";

/// The answer without any meeting: clients need container *and* key.
#[must_use]
pub fn no_meetings() -> String {
    success(&[("messageKey", "noMeetings"), ("message", NO_MEETINGS), ("meetings", "")])
}

/// The answer, piece by piece.
///
/// # Errors
/// When the store fails; failing servers are left out.
pub async fn get_meetings(app: &App) -> Result<BoxStream<'static, Bytes>, ApiError> {
    let mut servers = app.cluster.servers().await?;
    servers.retain(|server| server.online() && server.state != AdminState::Disabled);
    let asked: FuturesUnordered<_> =
        servers.into_iter().map(|server| elements_of(app.clone(), server).boxed()).collect();
    let found = asked.filter(|elements| std::future::ready(!elements.is_empty()));
    let pieces = found.map(Some).chain(stream::iter([None]));
    let answer = pieces.scan(false, |begun, piece| {
        let text = match (piece, std::mem::replace(begun, true)) {
            (Some(elements), true) => elements,
            (Some(elements), false) => {
                format!("<response><returncode>SUCCESS</returncode><meetings>{elements}")
            }
            (None, true) => "</meetings></response>".to_owned(),
            (None, false) => no_meetings(),
        };
        std::future::ready(Some(Bytes::from(text)))
    });
    Ok(answer.boxed())
}

/// The `<meeting>` elements of one server that may be shown; nothing if it fails.
async fn elements_of(app: App, server: Server) -> String {
    let way = Way { lane: Lane::FrontEnd, patience: app.policy.patience_with(server.online()) };
    let listed = timeout(CLIENT_PATIENCE, app.list(&server, way)).await;
    let listed = match listed {
        Ok(listed) => listed.map_err(|error| error.to_string()),
        Err(_) => Err("no answer within a client's patience".to_owned()),
    };
    let read =
        listed.and_then(|answer| Meetings::read(&answer.body).map_err(|error| error.to_string()));
    match read {
        Ok(meetings) => visible(&meetings),
        Err(error) => {
            tracing::warn!(server = %server.id, error, "left out of getMeetings");
            String::new()
        }
    }
}

/// Meetings of a tenant are not for the rest of the world.
fn visible(meetings: &Meetings) -> String {
    let shown = meetings.list.iter().filter(|meeting| meeting.meta("tenant-id").is_none());
    shown.map(|meeting| without_illegal(meetings.element(meeting))).collect()
}
