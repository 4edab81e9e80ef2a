//! The ports [`ManagementTokens`], [`AuditLog`] and [`RememberedRequests`]: what only we know, below `own:`.

use std::collections::BTreeMap;

use app::ports::{
    AuditLog, AuditPosition, AuditRecord, KeyedRequest, ManagementToken, ManagementTokens,
    RememberedRequests, RequestClaim, StoreError, TokenAddition,
};
use async_trait::async_trait;
use domain::Timestamp;
use redis::Value;

use super::RedisStore;
use super::rows::{self, is_one};
use super::script::{
    ADD_MANAGEMENT_TOKEN, APPEND_AUDIT, CLAIM_REQUEST, FORGET_AUDIT, FORGET_REQUEST, LIST_AUDIT,
    LIST_MANAGEMENT_TOKENS, NO_ARGUMENTS, RECORD_TOKEN_USE, REMEMBER_ANSWER,
    REMOVE_MANAGEMENT_TOKEN,
};

/// Records of the audit that one script reads.
const AUDIT_PAGE_SIZE: usize = 500;

#[async_trait]
impl ManagementTokens for RedisStore {
    async fn add_management_token(
        &self,
        token: &ManagementToken,
        max: usize,
    ) -> Result<TokenAddition, StoreError> {
        let used = token.last_used_at.map(|at| at.0.to_string()).unwrap_or_default();
        let (stored, max) = (token.to_stored(), max.to_string());
        let arguments = [&token.id, &token.name, &stored, &max, &used];
        Ok(match self.call_script(&ADD_MANAGEMENT_TOKEN, &arguments).await? {
            Value::Int(1) => TokenAddition::Added,
            Value::Int(2) => TokenAddition::TooMany,
            _ => TokenAddition::NameTaken,
        })
    }

    async fn list_management_tokens(&self) -> Result<Vec<ManagementToken>, StoreError> {
        let found = self.call_script(&LIST_MANAGEMENT_TOKENS, &NO_ARGUMENTS).await?;
        let flat = rows::to_texts(found)?;
        let tokens = flat.chunks_exact(2).map(|pair| {
            ManagementToken::from_stored(&pair[0], pair[1].parse().ok().map(Timestamp))
        });
        let mut tokens = tokens.collect::<Result<Vec<_>, _>>()?;
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    async fn remove_management_token(&self, id: &str) -> Result<bool, StoreError> {
        Ok(is_one(&self.call_script(&REMOVE_MANAGEMENT_TOKEN, &[id]).await?))
    }

    async fn record_token_use(&self, id: &str, at: Timestamp) -> Result<(), StoreError> {
        let at = at.0.to_string();
        self.call_script(&RECORD_TOKEN_USE, &[id, &at]).await.map(drop)
    }
}

impl RedisStore {
    /// Reads a page of the audit, the newest record first: those from this rank on.
    async fn read_audit_page(
        &self,
        since: Timestamp,
        until: Timestamp,
        from: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let numbers = [until.0, since.0].map(|at| at.to_string());
        let [until, since] = numbers;
        let (from, count) = (from.to_string(), AUDIT_PAGE_SIZE.to_string());
        let arguments = [until, since, from, count];
        let members = rows::to_texts(self.call_script(&LIST_AUDIT, &arguments).await?)?;
        members.iter().map(|member| AuditRecord::from_stored(member)).collect()
    }
}

#[async_trait]
impl AuditLog for RedisStore {
    async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        let arguments: Vec<String> = records
            .iter()
            .flat_map(|record| [record.at.0.to_string(), record.id.clone(), record.to_stored()])
            .collect();
        self.call_script(&APPEND_AUDIT, &arguments).await.map(drop)
    }

    async fn list_audit(
        &self,
        since: Timestamp,
        before: Option<&AuditPosition>,
        max: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        // A map, since records that are appended between two pages shift the others, which are then read twice.
        let mut found: BTreeMap<AuditPosition, AuditRecord> = BTreeMap::new();
        let until = before.map_or(Timestamp(i64::MAX), |before| before.at);
        let mut from = 0;
        // Records of one time have no order in Redis: all of the last time must be read before the list is cut off.
        loop {
            let page = self.read_audit_page(since, until, from).await?;
            from += AUDIT_PAGE_SIZE;
            let is_last = page.len() < AUDIT_PAGE_SIZE;
            let oldest = page.last().map(|record| record.at);
            let is_wanted =
                |record: &AuditRecord| before.is_none_or(|before| record.position() < *before);
            let wanted = page.into_iter().filter(is_wanted);
            found.extend(wanted.map(|record| (record.position(), record)));
            let is_full = || {
                let last = found.keys().rev().nth(max.saturating_sub(1));
                last.is_some_and(|last| oldest.is_some_and(|oldest| oldest < last.at))
            };
            if is_last || max == 0 || is_full() {
                break;
            }
        }
        Ok(found.into_values().rev().take(max).collect())
    }

    async fn forget_audit(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let arguments = [before.0.to_string(), max.to_string()];
        self.call_script(&FORGET_AUDIT, &arguments).await.map(drop)
    }
}

#[async_trait]
impl RememberedRequests for RedisStore {
    async fn claim_request(
        &self,
        request: &KeyedRequest,
        now: Timestamp,
        until: Timestamp,
        max: usize,
    ) -> Result<RequestClaim, StoreError> {
        let [now, until] = [now.0.to_string(), until.0.to_string()];
        let max = max.to_string();
        let arguments = [&request.key, &request.fingerprint, &now, &until, &max];
        let found = rows::to_texts(self.call_script(&CLAIM_REQUEST, &arguments).await?)?;
        Ok(match found.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["claimed"] => RequestClaim::Claimed,
            ["under way"] => RequestClaim::UnderWay,
            ["answered", answer] => RequestClaim::Answered(answer.to_owned()),
            _ => RequestClaim::OtherRequest,
        })
    }

    async fn remember_answer(
        &self,
        request: &KeyedRequest,
        answer: &str,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let until = until.0.to_string();
        let arguments = [&request.key, &request.fingerprint, answer, &until];
        self.call_script(&REMEMBER_ANSWER, &arguments).await.map(drop)
    }

    async fn forget_request(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        let arguments = [&request.key, &request.fingerprint];
        self.call_script(&FORGET_REQUEST, &arguments).await.map(drop)
    }
}
