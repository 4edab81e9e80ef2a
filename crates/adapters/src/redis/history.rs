//! Sessions in Redis: in the order of their beginnings.

use std::collections::BTreeMap;

use app::ports::{History, StoreError};
use async_trait::async_trait;
use domain::{MeetingKey, Session, Timestamp};

use super::join::tenant;
use super::script::{FORGET_SESSIONS, RECORD_SESSION};
use super::{RedisStore, records, rows};

/// Sessions that are read at once.
const SESSIONS: usize = 1000;

impl RedisStore {
    /// The sessions from that place on, the newest first.
    async fn some_sessions(&self, from: usize) -> Result<Vec<Session>, StoreError> {
        let mut asked = redis::cmd("ZREVRANGE");
        let key = format!("{}own:sessions", self.core.prefix);
        asked.arg(key).arg(from).arg(from + SESSIONS - 1);
        let found = rows::texts(self.core.ask(&asked, true).await?)?;
        found.iter().map(|kept| records::read_session(kept)).collect()
    }
}

#[async_trait]
impl History for RedisStore {
    async fn record_session(&self, session: &Session) -> Result<(), StoreError> {
        let (began, kept) = (session.created_at.0.to_string(), records::session(session));
        let key = &session.key;
        let arguments = [&began, tenant(key), &key.id, &kept.to_string()];
        self.core.call(&RECORD_SESSION, &arguments).await.map(drop)
    }

    async fn sessions(&self, since: Timestamp, max: usize) -> Result<Vec<Session>, StoreError> {
        // In a map: what is added meanwhile moves the others on.
        let mut found: BTreeMap<(Timestamp, MeetingKey), Session> = BTreeMap::new();
        let mut from = 0;
        while from < max {
            let page = self.some_sessions(from).await?;
            from += SESSIONS;
            let ends = page.len() < SESSIONS || page.iter().any(|one| one.created_at < since);
            let wanted = page.into_iter().filter(|one| one.created_at >= since);
            found.extend(wanted.map(|one| ((one.created_at, one.key.clone()), one)));
            if ends {
                break;
            }
        }
        Ok(found.into_values().rev().take(max).collect())
    }

    async fn forget_sessions(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let arguments = [before.0.to_string(), max.to_string()];
        self.core.call(&FORGET_SESSIONS, &arguments).await.map(drop)
    }
}
