//! The pool as a whole, here and there: polls, placement, numbers, checks, settings.

use app::admin::monitoring::{PoolNumbers, count_pool};
use app::admin::placement::{HypotheticalMeeting, explain_placement};
use app::poll::{self, PollSummary};
use app::ports::Finding;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::FindingAnswer;
use super::remote::{RemoteBalancer, RemoteError};
use super::{Balancer, CommandFailure};
use crate::cmd::placement;
use crate::cmd::poll::PollTarget;

#[derive(Deserialize)]
struct PollAnswer {
    answered: usize,
    failed: usize,
    forgotten: usize,
}

#[derive(Deserialize)]
struct FindingsAnswer {
    findings: Vec<FindingAnswer>,
}

#[derive(Deserialize)]
struct SettingsAnswer {
    settings: Vec<RemoteSetting>,
}

/// A setting of another balancer.
#[derive(Deserialize)]
pub struct RemoteSetting {
    /// Its name.
    pub name: String,
    /// Its value; `***` stands for a secret.
    pub value: String,
    /// Where it was set.
    pub origin: String,
    /// What is odd about it.
    pub warning: Option<String>,
}

#[derive(Deserialize)]
struct StatusAnswer {
    enabled_servers: usize,
    offline: Vec<String>,
    meetings: u64,
    users: u64,
    load: f64,
    poll_age_ms: Option<i64>,
    poll_interval_ms: i64,
}

impl Balancer {
    /// Polls all servers; `None` if only versions were asked for.
    pub async fn poll_servers(
        &self,
        target: PollTarget,
    ) -> Result<Option<PollSummary>, CommandFailure> {
        let is_versions = target == PollTarget::Versions;
        match self {
            Self::Here(context) if is_versions => {
                poll::refresh_versions(&context.app).await?;
                Ok(None)
            }
            Self::Here(context) => {
                let all = target == PollTarget::All;
                Ok(Some(poll::poll_all_servers(&context.app, all, None).await?))
            }
            Self::There(remote) => {
                let target = match target {
                    PollTarget::All => "all",
                    PollTarget::Servers | PollTarget::Meetings => "servers",
                    PollTarget::Versions => "versions",
                };
                let found: PollAnswer = remote.post("/polls", &json!({ "target": target })).await?;
                let PollAnswer { answered, failed, forgotten } = found;
                Ok((!is_versions).then_some(PollSummary { answered, failed, forgotten }))
            }
        }
    }

    /// Where a meeting would be placed now, as JSON.
    pub async fn explain_placement(
        &self,
        meeting: HypotheticalMeeting,
    ) -> Result<Value, CommandFailure> {
        match self {
            Self::Here(context) => {
                let explanation = explain_placement(&context.app, &meeting).await?;
                Ok(placement::to_json(&explanation, context.app.clock.now()))
            }
            Self::There(remote) => {
                let HypotheticalMeeting { id, tenant, announced_users, tag } = meeting;
                let size = announced_users.map(|users| users.to_string());
                let fields = [("size", size), ("tag", tag), ("meeting", id), ("tenant", tenant)];
                let query: Vec<(&str, &str)> = fields
                    .iter()
                    .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
                    .collect();
                Ok(remote.get("/placement", &query).await?)
            }
        }
    }

    /// The pool in numbers, for monitoring systems, and how often its servers are polled, in ms.
    pub async fn count_pool(&self) -> Result<(PoolNumbers, i64), CommandFailure> {
        match self {
            Self::Here(context) => {
                let interval = context.config.poll_interval.ms();
                let numbers = count_pool(&context.app).await?;
                Ok((numbers, i64::try_from(interval).unwrap_or(i64::MAX)))
            }
            Self::There(remote) => {
                let status: StatusAnswer = remote.get("/status", &[]).await?;
                let numbers = PoolNumbers {
                    enabled: status.enabled_servers,
                    offline: status.offline,
                    meetings: status.meetings,
                    users: status.users,
                    load: status.load,
                    poll_age_ms: status.poll_age_ms,
                };
                Ok((numbers, status.poll_interval_ms))
            }
        }
    }
}

impl RemoteBalancer {
    /// What the checks there find.
    pub async fn run_checks(&self) -> Result<Vec<Finding>, RemoteError> {
        let answer: FindingsAnswer = self.get("/doctor", &[]).await?;
        Ok(answer.findings.into_iter().map(Finding::from).collect())
    }

    /// The settings in effect there.
    pub async fn list_settings(&self) -> Result<Vec<RemoteSetting>, RemoteError> {
        let answer: SettingsAnswer = self.get("/config", &[]).await?;
        Ok(answer.settings)
    }

    /// Whether the process there has what it needs, as JSON.
    pub async fn read_readiness(&self, excluded: &str) -> Result<Value, RemoteError> {
        self.get("/readiness", &[("exclude", excluded)]).await
    }
}
