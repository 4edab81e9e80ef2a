//! Joins: answered by what is remembered for a moment, counted together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use app::ports::{Located, StoreError};
use domain::{MeetingKey, Timestamp};
use redis::{ToRedisArgs, Value};

use super::rows;
use super::script::{COUNT_JOINS, LOCATE, Named};
use super::{Core, PAGE, RedisStore};

/// How long joins gather before they are written: shorter than on disks, since other programs read
/// the loads as well.
const GATHER: Duration = Duration::from_millis(2);

/// A tenant as it stands in scripts' arguments.
pub(super) fn tenant(key: &MeetingKey) -> &str {
    key.tenant.as_deref().unwrap_or_default()
}

impl Core {
    /// Writes the joins that were counted.
    async fn count_joins(&self) -> Result<(), StoreError> {
        let _alone = self.counting.lock().await;
        let counted: Vec<_> = self.joins.take().into_iter().collect();
        let mut outcome = Ok(());
        for some in counted.chunks(PAGE) {
            let arguments: Vec<String> = some
                .iter()
                .flat_map(|(key, (joins, at))| {
                    let names = [tenant(key).to_owned(), key.id.clone()];
                    names.into_iter().chain([at.0.to_string(), joins.to_string()])
                })
                .collect();
            outcome = outcome.and(self.call(&COUNT_JOINS, &arguments).await.map(drop));
        }
        self.joins.written();
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
    pub(super) async fn call<A: ToRedisArgs>(
        &self,
        named: &Named,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        self.settle_joins().await;
        self.core.call(named, arguments).await
    }

    /// Makes scripts see every join.
    pub(super) async fn settle_joins(&self) {
        if !self.core.joins.settled() {
            self.core.count_joins_or_warn().await;
        }
    }

    /// A meeting and its server.
    pub(super) async fn locate(&self, key: &MeetingKey) -> Result<Option<Located>, StoreError> {
        let found = self.core.call(&LOCATE, &[tenant(key), &key.id]).await?;
        match rows::some::<2>(found)? {
            Some([meeting, server]) => rows::located(meeting, server),
            None => Ok(None),
        }
    }

    /// The same, perhaps as it was up to a second ago for other replicas, and one user more.
    pub(super) async fn join_one(
        &self,
        key: &MeetingKey,
        now: Timestamp,
    ) -> Result<Option<Located>, StoreError> {
        let sign = self.core.sign.load(Ordering::Acquire);
        let located = self.memory.get_or_find(key, sign, self.locate(key)).await?;
        let counts = located.as_ref().is_some_and(|located| located.is_reachable());
        if counts && self.core.joins.add(key, now) {
            let core = Arc::clone(&self.core);
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                core.count_joins_or_warn().await;
            });
        }
        Ok(located)
    }
}
