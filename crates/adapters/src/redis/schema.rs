//! The version of our layout of keys below `own:`, and the refusal of layouts that this program
//! does not know.

use std::sync::atomic::Ordering;

use app::ports::StoreError;

use super::{RedisClient, rows};

/// The version that `scripts/prelude.lua` writes to `own:schema_version`.
const SCHEMA_VERSION: i64 = 1;

impl RedisClient {
    /// Fails if the keys below `own:` have a layout that this program does not know. Redis is asked
    /// once in the life of a process; later calls cost nothing.
    ///
    /// Keys without a version are new, or are those of an unreleased layout, which had `own:mark`.
    pub(super) async fn require_known_schema(&self) -> Result<(), StoreError> {
        if self.has_known_schema.load(Ordering::Acquire) {
            return Ok(());
        }
        let prefix = &self.prefix;
        let mut command = redis::cmd("MGET");
        command.arg(format!("{prefix}own:schema_version")).arg(format!("{prefix}own:mark"));
        let command = &command;
        let send = |mut connection| async move { command.query_async(&mut connection).await };
        let found = rows::to_list(self.send_unchecked(true, send).await?);
        let version = found.first().map(rows::to_text).transpose()?.flatten();
        let has_mark = found.get(1).is_some_and(|value| *value != redis::Value::Nil);
        let reason = match version.as_deref().map(str::parse::<i64>) {
            None if has_mark => "the keys were written by an older, unreleased scalelite: use \
                another REDIS_NAMESPACE, or delete them"
                .to_owned(),
            None | Some(Ok(SCHEMA_VERSION)) => {
                self.has_known_schema.store(true, Ordering::Release);
                return Ok(());
            }
            Some(Ok(version)) if version > SCHEMA_VERSION => format!(
                "the keys have schema {version}, this program knows {SCHEMA_VERSION}: use a newer \
                 scalelite"
            ),
            Some(_) => {
                "the keys have an unknown schema: use another REDIS_NAMESPACE, or delete them"
                    .to_owned()
            }
        };
        Err(StoreError::Incompatible(format!("Redis, below {prefix}own: {reason}")))
    }
}
