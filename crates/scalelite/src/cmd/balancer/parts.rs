//! Tokens, the audit, callbacks and imports, here and there.

use app::admin::callbacks;
use app::admin::tokens::{self, NewToken, TokenError};
use app::audit::{AuditFilter, list_page};
use app::ports::{ArchiveRecord, AuditRecord, ManagementToken, MessageTopic, OutboxMessage};
use domain::Timestamp;
use domain::management::{Scope, Scopes};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{ArchiveAnswer, CallbackAnswer, ChangeAnswer, MadeTokenAnswer, TokenAnswer};
use super::remote::{RemoteBalancer, RemoteError, segment};
use super::{Balancer, CommandFailure};
use crate::cmd::imports::importer;
use crate::cmd::recordings::recording_store;

/// Most callbacks that are listed.
const MAX_CALLBACKS: u32 = 1_000;
/// Most archives that are listed.
const MAX_ARCHIVES: u32 = 1_000;
/// Entries of a page of the audit.
const AUDIT_PAGE: usize = 500;

/// A token to make.
pub struct TokenRequest {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// The tenant that it is limited to.
    pub tenant: Option<String>,
    /// How long it is valid, in ms.
    pub lifetime_ms: Option<i64>,
}

#[derive(Deserialize)]
struct RetriedAnswer {
    callbacks: u64,
}

#[derive(Deserialize)]
struct ChangesAnswer {
    items: Vec<ChangeAnswer>,
    next: Option<String>,
}

impl Balancer {
    /// All tokens, without their secrets.
    pub async fn list_tokens(&self) -> Result<Vec<ManagementToken>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(tokens::list(&context.app).await?),
            Self::There(remote) => {
                let list: Vec<TokenAnswer> = remote.list_all("/tokens").await?;
                Ok(list.into_iter().map(ManagementToken::from).collect())
            }
        }
    }

    /// Makes a token; returns it with its secret.
    pub async fn create_token(
        &self,
        request: TokenRequest,
    ) -> Result<(ManagementToken, String), CommandFailure> {
        let TokenRequest { name, scopes, tenant, lifetime_ms } = request;
        match self {
            Self::Here(context) => {
                let new = NewToken { name, scopes, tenant, lifetime_ms };
                Ok(tokens::create(&context.app, new).await?)
            }
            Self::There(remote) => {
                let scopes: Vec<&str> = scopes.iter().map(Scope::name).collect();
                let mut body = json!({ "name": name, "scopes": scopes });
                if let Some(tenant) = tenant {
                    body["tenant"] = json!(tenant);
                }
                if let Some(ms) = lifetime_ms {
                    body["expires_in_s"] = json!((ms / 1_000).max(1));
                }
                let made: MadeTokenAnswer = remote.post("/tokens", &body).await?;
                Ok((made.token.into(), made.secret))
            }
        }
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, name: &str) -> Result<(), CommandFailure> {
        match self {
            Self::Here(context) => Ok(tokens::revoke(&context.app, name).await.map(drop)?),
            Self::There(remote) => {
                match remote.delete(&format!("/tokens/{}", segment(name)), &[]).await {
                    Err(error) if error.is("not-found") => {
                        Err(TokenError::Unknown(name.to_owned()).into())
                    }
                    revoked => Ok(revoked?),
                }
            }
        }
    }

    /// The newest changes, the newest first, and whether there are more.
    pub async fn list_changes(
        &self,
        filter: &AuditFilter,
        max: usize,
    ) -> Result<(Vec<AuditRecord>, bool), CommandFailure> {
        match self {
            Self::Here(context) => {
                let (records, rest) = list_page(&context.app, filter, None, max).await?;
                Ok((records, rest.is_some()))
            }
            Self::There(remote) => Ok(list_changes_there(remote, filter, max).await?),
        }
    }

    /// Callbacks that have not been delivered.
    pub async fn list_callbacks(&self) -> Result<Vec<OutboxMessage>, CommandFailure> {
        match self {
            Self::Here(context) => {
                Ok(recording_store(context)?.list_messages(MAX_CALLBACKS).await?)
            }
            Self::There(remote) => {
                let list: Vec<CallbackAnswer> = remote.list("/callbacks", &[]).await?;
                Ok(list.into_iter().filter_map(to_message).collect())
            }
        }
    }

    /// Makes one callback due now, or all that were given up; returns how many.
    pub async fn retry_callbacks(&self, id: Option<&str>) -> Result<u64, CommandFailure> {
        match self {
            Self::Here(context) => {
                Ok(callbacks::retry(&context.app, recording_store(context)?, id).await?)
            }
            Self::There(remote) => {
                let path = match id {
                    Some(id) => format!("/callbacks/{}/retry", segment(id)),
                    None => "/callbacks/retry".to_owned(),
                };
                match remote.post::<RetriedAnswer>(&path, &json!({})).await {
                    Err(error) if error.is("not-found") => Ok(0),
                    retried => Ok(retried?.callbacks),
                }
            }
        }
    }

    /// Received archives, the most recently changed first.
    pub async fn list_archives(&self) -> Result<Vec<ArchiveRecord>, CommandFailure> {
        match self {
            Self::Here(context) => {
                Ok(importer(context)?.records.list_archives(MAX_ARCHIVES).await?)
            }
            Self::There(remote) => {
                let list: Vec<ArchiveAnswer> = remote.list("/imports", &[]).await?;
                let mut list: Vec<_> = list.into_iter().map(ArchiveRecord::from).collect();
                list.sort_by(|a, b| (b.changed_at, &b.name).cmp(&(a.changed_at, &a.name)));
                list.truncate(usize::try_from(MAX_ARCHIVES).unwrap_or(usize::MAX));
                Ok(list)
            }
        }
    }
}

impl RemoteBalancer {
    /// Lets an archive that is kept be imported; false if there is none of this name.
    pub async fn release_archive(&self, name: &str) -> Result<bool, RemoteError> {
        match self.post::<Value>(&format!("/imports/{}/retry", segment(name)), &json!({})).await {
            Ok(_) => Ok(true),
            Err(error) if error.is("not-found") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl RemoteBalancer {
    /// Lifts the deletion of a recording.
    pub async fn undelete_recording(&self, id: &str) -> Result<(), RemoteError> {
        let path = format!("/recordings/{}/undelete", segment(id));
        self.post::<Value>(&path, &json!({})).await.map(drop)
    }
}

/// A callback as commands show it. One with a topic of a later version is left out.
fn to_message(answer: CallbackAnswer) -> Option<OutboxMessage> {
    Some(OutboxMessage {
        id: answer.id,
        topic: MessageTopic::from_name(&answer.topic)?,
        tenant: answer.tenant,
        meeting_id: answer.meeting_id,
        record_id: answer.record_id,
        // Only the host is shown.
        url: format!("https://{}/", answer.host),
        body: None,
        secret_hint: None,
        posted_at: answer.posted_at,
        attempts: answer.attempts,
        failure: answer.failure,
        due_at: answer.next_at,
    })
}

async fn list_changes_there(
    remote: &RemoteBalancer,
    filter: &AuditFilter,
    max: usize,
) -> Result<(Vec<AuditRecord>, bool), RemoteError> {
    let AuditFilter { since, until, server, meeting, tenant, recording, actor, action } = filter;
    let time = |time: &Option<Timestamp>| time.map(crate::output::time::format_time_ms);
    let mut fields = vec![
        ("since", time(since)),
        ("until", time(until)),
        ("server", server.clone()),
        ("meeting", meeting.clone()),
        ("tenant", tenant.clone()),
        ("recording", recording.clone()),
        ("actor", actor.clone()),
        ("action", action.clone()),
    ];
    let mut found: Vec<AuditRecord> = Vec::new();
    loop {
        let limit = (max - found.len()).min(AUDIT_PAGE).to_string();
        let query: Vec<(&str, &str)> = fields
            .iter()
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
            .chain([("limit", limit.as_str())])
            .collect();
        let ChangesAnswer { items, next } = remote.get("/audit", &query).await?;
        let is_empty = items.is_empty();
        found.extend(items.into_iter().map(AuditRecord::from));
        match next {
            Some(next) if !is_empty && found.len() < max => {
                fields.retain(|(name, _)| *name != "cursor");
                fields.push(("cursor", Some(next)));
            }
            next => return Ok((found, next.is_some())),
        }
    }
}
