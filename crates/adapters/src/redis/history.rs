//! Sessions in Redis: in the order of their beginnings.

use std::collections::BTreeMap;

use app::ports::{SessionHistory, StoreError};
use async_trait::async_trait;
use domain::{MeetingKey, MeetingSession, Timestamp};

use super::join::tenant_or_empty;
use super::script::{FORGET_SESSIONS, RECORD_SESSION};
use super::{RedisStore, records, rows};

/// Sessions that are read at once.
const SESSION_PAGE_SIZE: usize = 1000;

impl RedisStore {
    /// The sessions from that place on, the newest first.
    async fn read_session_page(&self, from: usize) -> Result<Vec<MeetingSession>, StoreError> {
        let mut asked = redis::cmd("ZREVRANGE");
        let key = format!("{}own:sessions", self.client.prefix);
        asked.arg(key).arg(from).arg(from + SESSION_PAGE_SIZE - 1);
        let found = rows::to_texts(self.client.send_command(&asked, true).await?)?;
        found.iter().map(|kept| records::read_session(kept)).collect()
    }
}

#[async_trait]
impl SessionHistory for RedisStore {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        let (began, kept) = (session.created_at.0.to_string(), records::session_json(session));
        let key = &session.key;
        let arguments = [&began, tenant_or_empty(key), &key.id, &kept.to_string()];
        self.client.call_script(&RECORD_SESSION, &arguments).await.map(drop)
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        // In a map: what is added meanwhile moves the others on.
        let mut found: BTreeMap<(Timestamp, MeetingKey), MeetingSession> = BTreeMap::new();
        let mut from = 0;
        while from < max {
            let page = self.read_session_page(from).await?;
            from += SESSION_PAGE_SIZE;
            let ends =
                page.len() < SESSION_PAGE_SIZE || page.iter().any(|one| one.created_at < since);
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
        self.client.call_script(&FORGET_SESSIONS, &arguments).await.map(drop)
    }
}
