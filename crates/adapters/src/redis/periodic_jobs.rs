//! The ports [`PeriodicJobs`] and [`OneTimeTokens`].

use app::ports::{JobClaim, OneTimeTokens, PeriodicJobs, RecordingFormatId, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::{JobRun, start_next_run};
use serde_json::json;

use super::rows::{self, is_one};
use super::script::{BEGIN_RUN, PUT_TOKEN, READ_LAST_RUN, TAKE_TOKEN};
use super::{MAX_TRIES, RedisStore, busy_error};

impl RedisStore {
    async fn read_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        let found = rows::to_texts(self.call_script(&READ_LAST_RUN, &[job]).await?)?;
        let [number, started_at] = &found[..] else {
            return Ok(None);
        };
        let run = number.parse().ok().zip(started_at.parse().ok());
        Ok(run.map(|(number, started_at)| JobRun { number, started_at: Timestamp(started_at) }))
    }

    /// Returns the members of a set or the keys of a hash, by this command.
    pub(super) async fn list_members(
        &self,
        command: &str,
        key: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut command = redis::cmd(command);
        command.arg(format!("{}{key}", self.client.prefix));
        self.query_texts(&command).await
    }

    /// Returns those results of a command that are text.
    pub(super) async fn query_texts(
        &self,
        command: &redis::Cmd,
    ) -> Result<Vec<String>, StoreError> {
        let found = self.client.send_command(command, true).await?;
        // Our own names are UTF-8. Others cannot be read, and must not make polls fail.
        Ok(rows::to_list(found)
            .iter()
            .filter_map(|value| rows::to_text(value).ok().flatten())
            .collect())
    }
}

#[async_trait]
impl PeriodicJobs for RedisStore {
    async fn find_last_run(&self, job: &str) -> Result<Option<JobRun>, StoreError> {
        self.read_last_run(job).await
    }

    async fn claim_run(
        &self,
        job: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        for _ in 0..MAX_TRIES {
            let last_run = self.read_last_run(job).await?;
            let run = match start_next_run(last_run, now, interval_ms) {
                Ok(run) => run,
                Err(due_at) => return Ok(JobClaim::NotBefore(due_at)),
            };
            let last_number = last_run.map(|run| run.number.to_string()).unwrap_or_default();
            let (number, started_at) = (run.number.to_string(), run.started_at.0.to_string());
            let arguments = [job, &last_number, &number, &started_at];
            if is_one(&self.call_script(&BEGIN_RUN, &arguments).await?) {
                return Ok(JobClaim::Claimed(run.number));
            }
        }
        Err(busy_error())
    }
}

#[async_trait]
impl OneTimeTokens for RedisStore {
    async fn put_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        // The names and the order that the original uses.
        let text = format!(
            "{{\"record_id\":{},\"format\":{}}}",
            json!(format_id.record_id.as_str()),
            json!(format_id.format.as_str())
        );
        let (ttl, until) = (until.ms_since(now).max(1).to_string(), until.0.to_string());
        self.call_script(&PUT_TOKEN, &[token, &text, &ttl, &until]).await.map(drop)
    }

    async fn take_token(
        &self,
        token: &str,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let now = now.0.to_string();
        let (record_id, format) = (format_id.record_id.as_str(), format_id.format.as_str());
        let taken = self.call_script(&TAKE_TOKEN, &[token, &now, record_id, format]).await?;
        Ok(is_one(&taken))
    }
}
