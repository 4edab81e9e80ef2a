//! Turns and one-time tokens in Redis.

use app::ports::{JobClaim, OneTimeTokens, PeriodicJobs, RecordingFormatId, StoreError};
use async_trait::async_trait;
use domain::Timestamp;
use domain::periodic_job::{JobRun, start_next_run};
use serde_json::json;

use super::rows::{self, is_one};
use super::script::{BEGIN_RUN, PUT_TOKEN, READ_LAST_RUN, TAKE_TOKEN};
use super::{MAX_TRIES, RedisStore, busy_error};

impl RedisStore {
    async fn find_last_run(&self, work: &str) -> Result<Option<JobRun>, StoreError> {
        let found = rows::to_texts(self.call_script(&READ_LAST_RUN, &[work]).await?)?;
        let [number, begun_at] = &found[..] else {
            return Ok(None);
        };
        let cycle = number.parse().ok().zip(begun_at.parse().ok());
        Ok(cycle.map(|(number, begun_at)| JobRun { number, started_at: Timestamp(begun_at) }))
    }

    /// All members of a set, or all keys of a hash.
    pub(super) async fn list_members(
        &self,
        command: &str,
        key: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut asked = redis::cmd(command);
        asked.arg(format!("{}{key}", self.client.prefix));
        self.query_texts(&asked).await
    }

    /// What a command finds that is text.
    pub(super) async fn query_texts(&self, asked: &redis::Cmd) -> Result<Vec<String>, StoreError> {
        let found = self.client.send_command(asked, true).await?;
        // Ours are all UTF-8: what is not cannot be asked for, and must not stop the polls.
        Ok(rows::to_list(found)
            .iter()
            .filter_map(|one| rows::to_text(one).ok().flatten())
            .collect())
    }
}

#[async_trait]
impl PeriodicJobs for RedisStore {
    async fn claim_run(
        &self,
        work: &str,
        now: Timestamp,
        interval_ms: i64,
    ) -> Result<JobClaim, StoreError> {
        for _ in 0..MAX_TRIES {
            let last = self.find_last_run(work).await?;
            let cycle = match start_next_run(last, now, interval_ms) {
                Ok(cycle) => cycle,
                Err(due) => return Ok(JobClaim::NotBefore(due)),
            };
            let expected = last.map(|last| last.number.to_string()).unwrap_or_default();
            let (number, begun_at) = (cycle.number.to_string(), cycle.started_at.0.to_string());
            let arguments = [work, &expected, &number, &begun_at];
            if is_one(&self.call_script(&BEGIN_RUN, &arguments).await?) {
                return Ok(JobClaim::Claimed(cycle.number));
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
        // The original's words, in its order.
        let text = format!(
            "{{\"record_id\":{},\"format\":{}}}",
            json!(format_id.record_id.as_str()),
            json!(format_id.format.as_str())
        );
        let (left, until) = (until.ms_since(now).max(1).to_string(), until.0.to_string());
        self.call_script(&PUT_TOKEN, &[token, &text, &left, &until]).await.map(drop)
    }

    async fn take_token(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<RecordingFormatId>, StoreError> {
        let now = now.0.to_string();
        let Some(text) = rows::to_text(&self.call_script(&TAKE_TOKEN, &[token, &now]).await?)?
        else {
            return Ok(None);
        };
        // A value that cannot be read grants nothing.
        let granted: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let field = |name: &str| granted.get(name).and_then(|value| value.as_str());
        let names = field("record_id").zip(field("format"));
        Ok(names.and_then(|(record_id, format)| RecordingFormatId::parse(record_id, format)))
    }
}
