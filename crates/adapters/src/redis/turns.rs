//! Turns and one-time tokens in Redis.

use app::ports::{Grant, StoreError, Tokens, Turn, Turns};
use async_trait::async_trait;
use domain::Timestamp;
use domain::turn::{Cycle, next};
use serde_json::json;

use super::rows::{self, is_one};
use super::script::{PUT_TOKEN, TAKE_TOKEN, TURN_LOOK, TURN_TAKE};
use super::{RedisStore, TRIES_MAX, busy};

impl RedisStore {
    async fn last_cycle(&self, work: &str) -> Result<Option<Cycle>, StoreError> {
        let found = rows::texts(self.call(&TURN_LOOK, &[work]).await?)?;
        let [number, begun_at] = &found[..] else {
            return Ok(None);
        };
        let cycle = number.parse().ok().zip(begun_at.parse().ok());
        Ok(cycle.map(|(number, begun_at)| Cycle { number, begun_at: Timestamp(begun_at) }))
    }

    /// All members of a set, or all keys of a hash.
    pub(super) async fn members(
        &self,
        command: &str,
        key: &str,
    ) -> Result<Vec<String>, StoreError> {
        let mut asked = redis::cmd(command);
        asked.arg(format!("{}{key}", self.core.prefix));
        self.names(&asked).await
    }

    /// What a command finds that is text.
    pub(super) async fn names(&self, asked: &redis::Cmd) -> Result<Vec<String>, StoreError> {
        let found = self.core.ask(asked, true).await?;
        // Ours are all UTF-8: what is not cannot be asked for, and must not stop the polls.
        Ok(rows::list(found).iter().filter_map(|one| rows::text(one).ok().flatten()).collect())
    }
}

#[async_trait]
impl Turns for RedisStore {
    async fn turn(&self, work: &str, now: Timestamp, interval_ms: i64) -> Result<Turn, StoreError> {
        for _ in 0..TRIES_MAX {
            let last = self.last_cycle(work).await?;
            let cycle = match next(last, now, interval_ms) {
                Ok(cycle) => cycle,
                Err(due) => return Ok(Turn::NotBefore(due)),
            };
            let expected = last.map(|last| last.number.to_string()).unwrap_or_default();
            let (number, begun_at) = (cycle.number.to_string(), cycle.begun_at.0.to_string());
            let arguments = [work, &expected, &number, &begun_at];
            if is_one(&self.call(&TURN_TAKE, &arguments).await?) {
                return Ok(Turn::Yours(cycle.number));
            }
        }
        Err(busy())
    }
}

#[async_trait]
impl Tokens for RedisStore {
    async fn put_token(
        &self,
        token: &str,
        grant: &Grant,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        // The original's words, in its order.
        let text = format!(
            "{{\"record_id\":{},\"format\":{}}}",
            json!(grant.record_id),
            json!(grant.format)
        );
        let (left, until) = (until.ms_since(now).max(1).to_string(), until.0.to_string());
        self.call(&PUT_TOKEN, &[token, &text, &left, &until]).await.map(drop)
    }

    async fn take_token(&self, token: &str, now: Timestamp) -> Result<Option<Grant>, StoreError> {
        let now = now.0.to_string();
        let Some(text) = rows::text(&self.call(&TAKE_TOKEN, &[token, &now]).await?)? else {
            return Ok(None);
        };
        let grant: serde_json::Value = serde_json::from_str(&text)
            .map_err(|_| StoreError::Corrupt("Redis holds a token that is no JSON".to_owned()))?;
        let field =
            |name: &str| grant.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        Ok(field("record_id")
            .zip(field("format"))
            .map(|(record_id, format)| Grant { record_id, format }))
    }
}
