//! Joins: answered from the join cache, and counted together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use app::ports::{MeetingOnServer, StoreError};
use domain::{MeetingKey, Timestamp};
use redis::{ToRedisArgs, Value};

use super::rows;
use super::script::{COUNT_JOINS, FIND_MEETING, RedisScript};
use super::{PAGE_SIZE, RedisClient, RedisStore};

/// The time for which joins are collected before they are written. Shorter than in SQL stores,
/// since other programs read the loads, too.
const WRITE_DELAY: Duration = Duration::from_millis(2);

/// Returns the tenant of a meeting as an argument of scripts: empty for none.
pub(super) fn tenant_or_empty(key: &MeetingKey) -> &str {
    key.tenant.as_deref().unwrap_or_default()
}

impl RedisClient {
    /// Writes the counted joins.
    async fn count_joins(&self) -> Result<(), StoreError> {
        let _guard = self.counting_lock.lock().await;
        let counts: Vec<_> = self.pending_joins.take().into_iter().collect();
        let mut result = Ok(());
        for page in counts.chunks(PAGE_SIZE) {
            let arguments: Vec<String> = page
                .iter()
                .flat_map(|(key, (joins, joined_at))| {
                    let names = [tenant_or_empty(key).to_owned(), key.id.clone()];
                    names.into_iter().chain([joined_at.0.to_string(), joins.to_string()])
                })
                .collect();
            result = result.and(self.call_script(&COUNT_JOINS, &arguments).await.map(drop));
        }
        self.pending_joins.finish_write();
        result
    }

    async fn count_joins_or_warn(&self) {
        if let Err(error) = self.count_joins().await {
            tracing::warn!(%error, "joins not counted until the next poll");
        }
    }
}

impl RedisStore {
    /// Calls a script after writing all counted joins, so that it sees them.
    pub(super) async fn call_script<A: ToRedisArgs>(
        &self,
        script: &RedisScript,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        self.flush_joins().await;
        self.client.call_script(script, arguments).await
    }

    /// Writes all counted joins, so that scripts see them.
    pub(super) async fn flush_joins(&self) {
        if !self.client.pending_joins.is_flushed() {
            self.client.count_joins_or_warn().await;
        }
    }

    /// Reads a meeting and its server.
    pub(super) async fn load_meeting(
        &self,
        key: &MeetingKey,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let found =
            self.client.call_script(&FIND_MEETING, &[tenant_or_empty(key), &key.id]).await?;
        match rows::to_array::<2>(found)? {
            Some([meeting, server]) => rows::read_meeting_on_server(meeting, server),
            None => Ok(None),
        }
    }

    /// Returns a meeting and its server, and counts a join. Changes of other replicas may be
    /// missing for up to a second.
    pub(super) async fn join_meeting(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let revision = self.client.revision.load(Ordering::Acquire);
        let meeting = self.join_cache.get_or_find(key, revision, self.load_meeting(key)).await?;
        let is_counted = meeting.as_ref().is_some_and(MeetingOnServer::is_reachable);
        if is_counted && self.client.pending_joins.add(key, now) {
            let client = Arc::clone(&self.client);
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_DELAY).await;
                client.count_joins_or_warn().await;
            });
        }
        Ok(meeting)
    }
}
