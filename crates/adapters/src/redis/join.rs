//! Joins: answered by what is remembered for a moment, counted together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use app::ports::{MeetingOnServer, StoreError};
use domain::{MeetingKey, Timestamp};
use redis::{ToRedisArgs, Value};

use super::rows;
use super::script::{COUNT_JOINS, FIND_MEETING, RedisScript};
use super::{PAGE_SIZE, RedisClient, RedisStore};

/// How long joins gather before they are written: shorter than on disks, since other programs read
/// the loads as well.
const WRITE_DELAY: Duration = Duration::from_millis(2);

/// A tenant as it stands in scripts' arguments.
pub(super) fn tenant_or_empty(key: &MeetingKey) -> &str {
    key.tenant.as_deref().unwrap_or_default()
}

impl RedisClient {
    /// Writes the joins that were counted.
    async fn count_joins(&self) -> Result<(), StoreError> {
        let _alone = self.counting_lock.lock().await;
        let counted: Vec<_> = self.pending_joins.take().into_iter().collect();
        let mut outcome = Ok(());
        for some in counted.chunks(PAGE_SIZE) {
            let arguments: Vec<String> = some
                .iter()
                .flat_map(|(key, (joins, at))| {
                    let names = [tenant_or_empty(key).to_owned(), key.id.clone()];
                    names.into_iter().chain([at.0.to_string(), joins.to_string()])
                })
                .collect();
            outcome = outcome.and(self.call_script(&COUNT_JOINS, &arguments).await.map(drop));
        }
        self.pending_joins.finish_write();
        outcome
    }

    async fn count_joins_or_warn(&self) {
        if let Err(error) = self.count_joins().await {
            tracing::warn!(%error, "joins not counted; the next poll corrects the load");
        }
    }
}

impl RedisStore {
    /// Calls a script that sees every join which was counted before.
    pub(super) async fn call_script<A: ToRedisArgs>(
        &self,
        named: &RedisScript,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        self.flush_joins().await;
        self.client.call_script(named, arguments).await
    }

    /// Makes scripts see every join.
    pub(super) async fn flush_joins(&self) {
        if !self.client.pending_joins.is_flushed() {
            self.client.count_joins_or_warn().await;
        }
    }

    /// A meeting and its server.
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

    /// The same, perhaps as it was up to a second ago for other replicas, and one user more.
    pub(super) async fn join_meeting(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<MeetingOnServer>, StoreError> {
        let sign = self.client.revision.load(Ordering::Acquire);
        let located = self.join_cache.get_or_find(key, sign, self.load_meeting(key)).await?;
        let counts = located.as_ref().is_some_and(|located| located.is_reachable());
        if counts && self.client.pending_joins.add(key, now) {
            let core = Arc::clone(&self.client);
            tokio::spawn(async move {
                tokio::time::sleep(WRITE_DELAY).await;
                core.count_joins_or_warn().await;
            });
        }
        Ok(located)
    }
}
