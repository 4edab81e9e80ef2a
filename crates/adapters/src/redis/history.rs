//! The port [`SessionHistory`]: sessions in a sorted set, by the time of their creation.

use std::collections::BTreeMap;

use app::ports::{SessionHistory, StoreError};
use async_trait::async_trait;
use domain::{MeetingKey, MeetingSession, Timestamp};

use super::join::tenant_or_empty;
use super::script::{FORGET_SESSIONS, RECORD_SESSION};
use super::{RedisStore, records, rows};

/// The number of sessions that are read at once.
const SESSION_PAGE_SIZE: usize = 1000;

impl RedisStore {
    /// Reads a page of sessions, newest first, from this index on.
    async fn read_session_page(&self, from: usize) -> Result<Vec<MeetingSession>, StoreError> {
        let mut command = redis::cmd("ZREVRANGE");
        let key = format!("{}own:sessions", self.client.prefix);
        command.arg(key).arg(from).arg(from + SESSION_PAGE_SIZE - 1);
        let members = rows::to_texts(self.client.send_command(&command, true).await?)?;
        members.iter().map(|member| records::read_session(member)).collect()
    }
}

#[async_trait]
impl SessionHistory for RedisStore {
    async fn record_session(&self, session: &MeetingSession) -> Result<(), StoreError> {
        let created_at = session.created_at.0.to_string();
        let (key, json) = (&session.key, records::session_json(session).to_string());
        let arguments = [&created_at, tenant_or_empty(key), &key.id, &json];
        self.client.call_script(&RECORD_SESSION, &arguments).await.map(drop)
    }

    async fn list_sessions(
        &self,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<MeetingSession>, StoreError> {
        // A map, since a session that is added between two pages shifts the others, which are then
        // read twice.
        let mut found: BTreeMap<(Timestamp, MeetingKey), MeetingSession> = BTreeMap::new();
        let mut from = 0;
        while from < max {
            let page = self.read_session_page(from).await?;
            from += SESSION_PAGE_SIZE;
            let is_last = page.len() < SESSION_PAGE_SIZE
                || page.iter().any(|session| session.created_at < since);
            let recent = page.into_iter().filter(|session| session.created_at >= since);
            found
                .extend(recent.map(|session| ((session.created_at, session.key.clone()), session)));
            if is_last {
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
