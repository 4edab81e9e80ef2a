//! Taking a server out of service while its meetings go on.

use app::admin::drain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::problem::Problem;
use super::server_changes::MeetingCount;
use super::servers::{ServerView, find_version, show};

pub(super) async fn begin(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<ServerView>, Problem> {
    let server = find_version(&call).await?;
    let server = drain::begin_drain(call.app(), &server.id.0).await?;
    show(call.app(), server).await
}

/// What is left on a server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RemainingLoad")]
pub(super) struct RemainingView {
    /// Whether the server has answered; if not, the numbers are unknown.
    answered: bool,
    /// Why it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    meetings: Option<u32>,
    users: Option<u32>,
}

pub(super) async fn show_remaining(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<RemainingView>, Problem> {
    let remaining = drain::poll_remaining_load(call.app(), call.part(0)).await?;
    let view = match remaining {
        Ok(load) => RemainingView {
            answered: true,
            reason: None,
            meetings: Some(load.meetings),
            users: Some(load.users),
        },
        Err(reason) => {
            RemainingView { answered: false, reason: Some(reason), meetings: None, users: None }
        }
    };
    Ok(view.into())
}

/// A message to the users of a server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Warning")]
pub(super) struct WarningBody {
    /// What the chat shows in each meeting (BBB 3.0 or later).
    #[schemars(length(min = 1, max = 500))]
    text: String,
}

pub(super) async fn warn(
    call: Call,
    _: Nothing,
    body: WarningBody,
) -> Result<Reply<MeetingCount>, Problem> {
    let meetings = drain::warn_users(call.app(), call.part(0), &body.text).await?;
    Ok(MeetingCount { meetings }.into())
}

pub(super) async fn end_meetings(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<MeetingCount>, Problem> {
    let server = find_version(&call).await?;
    let meetings = drain::end_remaining_meetings(call.app(), &server.id.0).await?;
    Ok(MeetingCount { meetings }.into())
}
