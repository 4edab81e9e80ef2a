//! Tells front-ends what they asked to be told, until they have heard it.

use bbb::token::{self, Claims, Signature};
use bbb::{Algorithm, Query};
use bytes::Bytes;
use domain::delivery::next_attempt;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use crate::context::App;
use crate::ports::{Letter, Message, Records, StoreError, Topic};

use super::hint;

/// Messages sent at the same time.
const AT_ONCE: u32 = 16;
/// Secrets that one is tried with.
const SECRETS_MAX: usize = 8;
/// For so long nobody else sends a message that is being sent, in ms: longer than all secrets take.
const TAKEN_MS: i64 = 2 * 60_000;
/// How long a token of ours is good, in seconds.
const TOKEN_S: i64 = 24 * 3600;

/// What became of an attempt.
enum Outcome {
    Heard,
    /// Whom it was for is gone, and does not come back.
    Unwanted(u16),
    Failed(String),
}

/// Sends what is due; returns how many messages were.
///
/// # Errors
/// When the store fails.
pub async fn deliver_due(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.records else {
        return Ok(0);
    };
    let now = app.clock.now();
    let due = records.take_due(now, now.plus_ms(TAKEN_MS), AT_ONCE).await?;
    let count = due.len();
    let mut sent =
        stream::iter(due.into_iter().map(|message| deliver(app, records.as_ref(), message)))
            .buffer_unordered(count.max(1));
    let mut result = Ok(count);
    while let Some(settled) = sent.next().await {
        // The others are sent all the same.
        result = settled.and(result);
    }
    result
}

async fn deliver(app: &App, records: &dyn Records, message: Message) -> Result<(), StoreError> {
    let (id, topic) = (message.id.as_str(), message.topic.name());
    let meeting = message.meeting_id.as_str();
    match attempt(app, &message).await? {
        Outcome::Heard => {
            tracing::info!(topic, meeting, "callback delivered");
            records.settle(id).await
        }
        Outcome::Unwanted(status) => {
            tracing::warn!(topic, meeting, status, "callback is not wanted");
            records.settle(id).await
        }
        Outcome::Failed(reason) => {
            let (now, fraction) = (app.clock.now(), app.entropy.fraction());
            let attempts = message.attempts.saturating_add(1);
            let next = next_attempt(message.posted_at, attempts, now, fraction);
            match next {
                Some(_) => {
                    tracing::warn!(topic, meeting, reason, attempts, "callback not delivered")
                }
                None => tracing::error!(topic, meeting, reason, attempts, "callback given up"),
            }
            records.postpone(id, &reason, next).await
        }
    }
}

/// Sends a message, signed with each secret until one is accepted.
async fn attempt(app: &App, message: &Message) -> Result<Outcome, StoreError> {
    let mut secrets = secrets(app, message.tenant.as_deref()).await?;
    // The front-end that created the meeting may know only its own.
    secrets.sort_by_key(|secret| message.secret_hint.as_deref() != Some(hint(secret).as_str()));
    let mut last = Outcome::Failed("there is no secret to sign with".to_owned());
    for secret in secrets.iter().take(SECRETS_MAX) {
        let Some(letter) = letter(app, message, secret) else {
            return Ok(Outcome::Failed("it cannot be signed".to_owned()));
        };
        last = match app.courier.post(letter).await {
            Ok(200..=299) => return Ok(Outcome::Heard),
            Ok(status @ (404 | 410)) => return Ok(Outcome::Unwanted(status)),
            Ok(status) => Outcome::Failed(format!("answered with status {status}")),
            // Another secret leads to the same place.
            Err(error) => return Ok(Outcome::Failed(error.to_string())),
        };
    }
    Ok(last)
}

/// What signs messages to that tenant, or to everybody's front-ends.
async fn secrets(app: &App, tenant: Option<&str>) -> Result<Vec<String>, StoreError> {
    match tenant {
        None => Ok(app.policy.secrets.clone()),
        Some(id) => {
            let tenant = app.tenants.tenant(id).await?;
            Ok(tenant.iter().flat_map(|one| one.each_secret()).map(str::to_owned).collect())
        }
    }
}

fn letter(app: &App, message: &Message, secret: &str) -> Option<Letter> {
    let url = message.url.clone();
    match message.topic {
        Topic::RecordingReady => {
            let mut claims = Claims::new();
            claims.insert("meeting_id".to_owned(), message.meeting_id.clone().into());
            claims.insert("record_id".to_owned(), message.record_id.clone().into());
            // Greenlight knows only this one.
            let only_512 = app.policy.algorithms.is_only(Algorithm::Sha512);
            let signature = if only_512 { Signature::Hs512 } else { Signature::Hs256 };
            let mut form = Query::default();
            form.push("signed_parameters", &token::sign(&claims, secret, signature)?);
            let content_type = "application/x-www-form-urlencoded";
            Some(Letter { url, content_type, bearer: None, body: form.to_text().into() })
        }
        Topic::Analytics => {
            let mut claims = Claims::new();
            let expires_s = app.clock.now().0 / 1000 + TOKEN_S;
            claims.insert("exp".to_owned(), Value::from(expires_s));
            let bearer = Some(token::sign(&claims, secret, Signature::Hs512)?);
            let body = Bytes::from(message.body.clone().unwrap_or_default());
            Some(Letter { url, content_type: "application/json", bearer, body })
        }
    }
}
