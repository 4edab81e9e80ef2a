//! What is on a server: who would notice if it were taken away, and what it reports itself.

use app::admin::{probe, servers as admin};
use app::backend::CallOptions;
use app::ports::CallPriority;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::{Call, Reply};
use super::input::Nothing;
use super::problem::Problem;

/// Most meetings that are listed.
const MAX_MEETINGS: usize = 10_000;

/// Who is in the meetings of a server that the pool has.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Occupancy")]
pub(super) struct OccupancyView {
    meetings: usize,
    users: u64,
    /// Whether the server has said so now; otherwise these are the last known numbers.
    is_current: bool,
}

pub(super) async fn count_users(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<OccupancyView>, Problem> {
    let server = admin::find(call.app(), call.part(0)).await?;
    let probe::Occupancy { meetings, users, is_current } =
        probe::count_users(call.app(), &server).await?;
    Ok(OccupancyView { meetings, users, is_current }.into())
}

/// Meetings as their server reports them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReportedMeetings")]
pub(super) struct ReportedView {
    /// Their names, as the server gives them.
    names: Vec<String>,
}

pub(super) async fn list_reported(
    call: Call,
    _: Nothing,
    _: Nothing,
) -> Result<Reply<ReportedView>, Problem> {
    let app = call.app();
    let server = admin::find(app, call.part(0)).await?;
    let timeouts = app.policy.timeouts_for(server.is_online());
    let options = CallOptions { priority: CallPriority::Internal, timeouts };
    let response = app.fetch_meetings(&server, options).await;
    let response = response.map_err(|error| Problem::bad_gateway(&error))?;
    let list = app.read_meeting_list(&response).map_err(|error| Problem::bad_gateway(&error))?;
    let names = list.meetings.into_iter().map(|meeting| meeting.name);
    Ok(ReportedView { names: names.take(MAX_MEETINGS).collect() }.into())
}
