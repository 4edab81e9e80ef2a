//! Drains, here and there.

use app::admin::drain::{self, RemainingLoad};
use app::drains::{self, DrainError, DrainPlan};
use domain::Server;
use domain::drain::PlannedDrain;
use serde::Deserialize;
use serde_json::json;

use super::answers::ServerAnswer;
use super::remote::segment;
use super::servers::{failure, path};
use super::{Balancer, CommandFailure};
use crate::cmd::servers::admin_failure;
use crate::output::time::format_time_ms;

/// A drain that the balancer carries out.
#[derive(Deserialize)]
struct DrainAnswer {
    record: PlannedDrain,
}

/// What is left on a server.
#[derive(Deserialize)]
struct RemainingAnswer {
    reason: Option<String>,
    meetings: Option<u32>,
    users: Option<u32>,
}

#[derive(Deserialize)]
struct CountedMeetings {
    meetings: usize,
}

impl Balancer {
    /// Plans a drain.
    pub async fn plan_drain(&self, plan: DrainPlan) -> Result<PlannedDrain, CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(drains::plan(&context.app, plan).await?),
            Self::There(remote) => remote,
        };
        let mut body = json!({
            "server": plan.server, "warn_s": plan.warn_ms / 1_000, "then": plan.after.name(),
        });
        if let Some(at) = plan.starts_at {
            body["at"] = json!(format_time_ms(at));
        }
        if let Some(ms) = plan.deadline_ms {
            body["deadline_s"] = json!(ms / 1_000);
        }
        let planned: DrainAnswer = remote.post("/drains", &body).await?;
        Ok(planned.record)
    }

    /// The drains that are planned or under way, and those that are over as well.
    pub async fn list_drains(
        &self,
        includes_over: bool,
    ) -> Result<Vec<PlannedDrain>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(drains::list(&context.app, includes_over).await?),
            Self::There(remote) => {
                let over = if includes_over { "true" } else { "false" };
                let list: Vec<DrainAnswer> = remote.list("/drains", &[("over", over)]).await?;
                Ok(list.into_iter().map(|answer| answer.record).collect())
            }
        }
    }

    /// Cancels a drain; returns it.
    pub async fn cancel_drain(&self, id: &str) -> Result<PlannedDrain, CommandFailure> {
        let remote = match self {
            Self::Here(context) => return Ok(drains::cancel(&context.app, id).await?),
            Self::There(remote) => remote,
        };
        let is_meant = |drain: &PlannedDrain| {
            drain.id == id || drain.server.0 == id || drain.host.eq_ignore_ascii_case(id)
        };
        let known = self.list_drains(false).await?.into_iter().find(is_meant);
        match remote.delete(&format!("/drains/{}", segment(id)), &[]).await {
            Err(error) if error.is("not-found") => Err(DrainError::Unknown(id.to_owned()).into()),
            Err(error) => Err(error.into()),
            Ok(()) => known.ok_or_else(|| DrainError::Unknown(id.to_owned()).into()),
        }
    }

    /// Cordons a server; it is disabled when its last meeting is over.
    pub async fn begin_drain(&self, id: &str) -> Result<Server, CommandFailure> {
        match self {
            Self::Here(context) => {
                drain::begin_drain(&context.app, id).await.map_err(admin_failure)
            }
            Self::There(remote) => {
                let path = format!("{}/drain", path(id));
                let begun = remote.post::<ServerAnswer>(&path, &json!({})).await;
                begun.map(ServerAnswer::into_server).map_err(failure(id))
            }
        }
    }

    /// Polls a server for what is left on it; the inner error says why that is unknown.
    pub async fn poll_remaining_load(
        &self,
        id: &str,
    ) -> Result<Result<RemainingLoad, String>, CommandFailure> {
        match self {
            Self::Here(context) => {
                drain::poll_remaining_load(&context.app, id).await.map_err(admin_failure)
            }
            Self::There(remote) => {
                let path = format!("{}/drain", path(id));
                let answer =
                    remote.get::<RemainingAnswer>(&path, &[]).await.map_err(failure(id))?;
                Ok(match (answer.meetings, answer.users) {
                    (Some(meetings), Some(users)) => Ok(RemainingLoad { meetings, users }),
                    _ => Err(answer.reason.unwrap_or_default()),
                })
            }
        }
    }

    /// Writes into the chat of all meetings of a server; returns how many these are.
    pub async fn warn_users(&self, id: &str, text: &str) -> Result<usize, CommandFailure> {
        match self {
            Self::Here(context) => {
                drain::warn_users(&context.app, id, text).await.map_err(admin_failure)
            }
            Self::There(remote) => {
                let (path, body) = (format!("{}/warn", path(id)), json!({ "text": text }));
                let warned = remote.post::<CountedMeetings>(&path, &body).await;
                warned.map(|counted| counted.meetings).map_err(failure(id))
            }
        }
    }

    /// Ends the meetings that are left on a server; returns how many these were.
    pub async fn end_remaining_meetings(&self, id: &str) -> Result<usize, CommandFailure> {
        match self {
            Self::Here(context) => {
                drain::end_remaining_meetings(&context.app, id).await.map_err(admin_failure)
            }
            Self::There(remote) => {
                let path = format!("{}/end-meetings", path(id));
                let ended = remote.post::<CountedMeetings>(&path, &json!({})).await;
                ended.map(|counted| counted.meetings).map_err(failure(id))
            }
        }
    }
}
