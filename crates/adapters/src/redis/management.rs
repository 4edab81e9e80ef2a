//! The ports [`ManagementTokens`], [`AuditLog`] and [`RememberedRequests`]: what only we know, below `own:`.

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

/// The place of a record in the set, whose members are ordered by their bytes: its time, then its id.
fn sort_text(at: Timestamp, id: &str) -> String {
    format!("{:020} {id}", at.0.max(0))
}

#[async_trait]
impl AuditLog for RedisStore {
    async fn append_audit(&self, records: &[AuditRecord]) -> Result<(), StoreError> {
        let arguments: Vec<String> = records
            .iter()
            .flat_map(|record| [sort_text(record.at, &record.id), record.to_stored()])
            .collect();
        self.call_script(&APPEND_AUDIT, &arguments).await.map(drop)
    }

    async fn list_audit(
        &self,
        since: Timestamp,
        before: Option<&AuditPosition>,
        max: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let before = before.map(|place| format!("({}", sort_text(place.at, &place.id)));
        let since = format!("[{}", sort_text(since, ""));
        let arguments = [before.unwrap_or_else(|| "+".to_owned()), since, max.to_string()];
        let members = rows::to_texts(self.call_script(&LIST_AUDIT, &arguments).await?)?;
        members.iter().map(|member| AuditRecord::from_stored(member)).collect()
    }

    async fn forget_audit(&self, before: Timestamp, max: usize) -> Result<(), StoreError> {
        let arguments = [format!("({}", sort_text(before, "")), max.to_string()];
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
