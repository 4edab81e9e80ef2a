//! What is done with a server as a whole: enable, cordon, disable, panic, poll.

use app::App;
use app::admin::servers::{self as admin, PanicOptions};
use app::poll;
use app::ports::ServerChange;
use domain::AdminState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::problem::Problem;
use super::servers::{ServerView, find_version, require_empty, show};

async fn set_state(app: &App, id: &str, state: AdminState) -> Result<Reply<ServerView>, Problem> {
    let server = admin::update(app, id, ServerChange::with_state(state)).await?;
    show(app, server).await
}

pub(super) async fn enable(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<ServerView>, Problem> {
    let server = find_version(&call).await?;
    set_state(call.app(), &server.id.0, AdminState::Enabled).await
}

pub(super) async fn cordon(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<ServerView>, Problem> {
    let server = find_version(&call).await?;
    set_state(call.app(), &server.id.0, AdminState::Cordoned).await
}

/// How a server is disabled.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DisableBody {
    /// Disable it although users are in meetings there; these are ended.
    #[serde(default)]
    force: bool,
}

pub(super) async fn disable(
    call: Call,
    _: Nothing,
    body: DisableBody,
) -> Result<Reply<ServerView>, Problem> {
    let (app, server) = (call.app(), find_version(&call).await?);
    if !body.force {
        require_empty(app, &server).await?;
    }
    let has_load = server.load.is_some_and(|load| load > 0.0);
    // Before its meetings are cleared, so that no new ones are placed on it meanwhile.
    let disable = ServerChange::with_state(AdminState::Disabled);
    let server = admin::update(app, &server.id.0, disable).await?;
    if has_load {
        admin::clear_meetings(app, &server, false).await?;
    }
    show(app, server).await
}

/// How the meetings of a server are ended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PanicBody {
    /// Leave the server enabled or cordoned as it is.
    #[serde(default)]
    keep_state: bool,
    /// Only forget its meetings, and do not tell it to end them.
    #[serde(default)]
    skip_end_calls: bool,
}

/// Meetings that a call was about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MeetingCount")]
pub(super) struct MeetingCount {
    /// How many.
    pub(super) meetings: usize,
}

pub(super) async fn panic(
    call: Call,
    _: Nothing,
    body: PanicBody,
) -> Result<Reply<MeetingCount>, Problem> {
    let server = find_version(&call).await?;
    let PanicBody { keep_state, skip_end_calls } = body;
    let options = PanicOptions { keep_state, skip_end_calls };
    let ended = admin::panic(call.app(), &server.id.0, options).await?;
    Ok(MeetingCount { meetings: ended.len() }.into())
}

pub(super) async fn poll_one(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<ServerView>, Problem> {
    let server = admin::find(call.app(), call.part(0)).await?;
    let polled = poll::poll_server(call.app(), server, true, None).await?;
    let polled = polled.ok_or_else(|| Problem::not_found("server"))?;
    show(call.app(), polled.server).await
}
