//! Delivers the messages of the outbox to front-ends, and repeats them until they are accepted or
//! given up.

use bbb::token::{self, Claims, TokenAlgorithm};
use bbb::{Algorithm, Query};
use bytes::Bytes;
use domain::callback_retry::next_attempt;
use futures_util::StreamExt as _;
use futures_util::stream;

use crate::context::App;
use crate::ports::{
    CallbackContent, CallbackRequest, MessageTopic, OutboxMessage, RecordingStore, StoreError,
};
use crate::state::FailureNote;

use super::report_token::bound_claims;
use super::secret_hint::secret_hint;

/// Maximum number of messages that are sent at the same time.
const MAX_CONCURRENT_SENDS: u32 = 16;
/// How long a message that is being sent is reserved for this process, in ms: longer than an attempt
/// takes.
const SEND_LEASE_MS: i64 = 2 * 60_000;
/// How long a bearer token is valid, in seconds.
const TOKEN_LIFETIME_S: i64 = 24 * 3600;

/// The outcome of an attempt to deliver a message.
enum DeliveryOutcome {
    Delivered,
    /// The recipient responded with a status that says that it does not exist any more.
    RecipientGone(u16),
    Failed(String),
}

impl DeliveryOutcome {
    /// What the status of a response means.
    fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Delivered,
            404 | 410 => Self::RecipientGone(status),
            _ => Self::Failed(format!("answered with status {status}")),
        }
    }
}

/// Sends the messages that are due, and returns their number.
///
/// # Errors
/// When the store fails.
pub async fn deliver_due(app: &App) -> Result<usize, StoreError> {
    let Some(records) = &app.recording_store else {
        return Ok(0);
    };
    let now = app.clock.now();
    let due =
        records.take_due_messages(now, now.plus_ms(SEND_LEASE_MS), MAX_CONCURRENT_SENDS).await?;
    let count = due.len();
    let deliveries = due.into_iter().map(|message| deliver_message(app, records.as_ref(), message));
    let mut deliveries = stream::iter(deliveries).buffer_unordered(count.max(1));
    let mut result = Ok(count);
    while let Some(recorded) = deliveries.next().await {
        // An error does not stop the other deliveries.
        result = recorded.and(result);
    }
    result
}

async fn deliver_message(
    app: &App,
    records: &dyn RecordingStore,
    message: OutboxMessage,
) -> Result<(), StoreError> {
    let (id, topic) = (message.id.as_str(), message.topic.name());
    let meeting = message.meeting_id.as_str();
    let host = domain::server::hostname(&message.url).unwrap_or_default();
    match attempt_delivery(app, &message).await? {
        DeliveryOutcome::Delivered => {
            app.meters.callbacks_delivered.count();
            note_delivery(app, host);
            tracing::info!(topic, meeting, host, "callback delivered");
            records.remove_message(id).await
        }
        DeliveryOutcome::RecipientGone(status) => {
            tracing::warn!(topic, meeting, host, status, "callback dropped: recipient gone");
            records.remove_message(id).await
        }
        DeliveryOutcome::Failed(reason) => {
            app.meters.callback_failures.count();
            let (now, fraction) = (app.clock.now(), app.entropy.generate_fraction());
            let attempts = message.attempts.saturating_add(1);
            let due_at = next_attempt(message.posted_at, attempts, now, fraction);
            match due_at {
                Some(_) => note_failure(app, &message, host, &reason),
                None => {
                    app.meters.callbacks_given_up.count();
                    tracing::error!(topic, meeting, host, reason, attempts, "callback given up");
                }
            }
            records.postpone_message(id, &reason, due_at).await
        }
    }
}

/// Logs that a recipient works again, if it failed before.
fn note_delivery(app: &App, host: &str) {
    if let Some(past) = app.failing_recipients.note_success(host) {
        let (lasted_s, failures) = (past.lasted.as_secs(), past.count);
        tracing::info!(host, lasted_s, failures, "callbacks are delivered again");
    }
}

/// Logs a recipient that fails: once, and then every hour. The outbox knows each message.
fn note_failure(app: &App, message: &OutboxMessage, host: &str, reason: &str) {
    let (topic, meeting) = (message.topic.name(), message.meeting_id.as_str());
    let attempts = message.attempts.saturating_add(1);
    match app.failing_recipients.note_failure(host) {
        FailureNote::First => {
            tracing::warn!(topic, meeting, host, reason, attempts, "callback not delivered");
        }
        FailureNote::Reminder(past) => {
            let (lasted_s, failures) = (past.lasted.as_secs(), past.count);
            tracing::warn!(host, reason, lasted_s, failures, "callbacks are still not delivered");
        }
        FailureNote::Silent => {
            tracing::debug!(topic, meeting, host, reason, attempts, "callback not delivered");
        }
    }
}

/// Sends a message, signed with the secret that signed the create.
async fn attempt_delivery(
    app: &App,
    message: &OutboxMessage,
) -> Result<DeliveryOutcome, StoreError> {
    let request = if message.topic == MessageTopic::MeetingEnded {
        // As BBB sends it: nothing is signed.
        Some(CallbackRequest {
            url: message.url.clone(),
            bearer_token: None,
            headers: Vec::new(),
            content: None,
        })
    } else {
        match find_signing_secret(app, message).await? {
            Some(secret) => build_request(app, message, &secret),
            None => {
                let reason = "the secret that signed the create is not configured any more";
                return Ok(DeliveryOutcome::Failed(reason.to_owned()));
            }
        }
    };
    let Some(request) = request else {
        return Ok(DeliveryOutcome::Failed("the message cannot be signed".to_owned()));
    };
    Ok(match app.callback_client.send_callback(request).await {
        Ok(status) => DeliveryOutcome::of_status(status),
        Err(error) => DeliveryOutcome::Failed(error.to_string()),
    })
}

/// Returns the secret that signs a message: the one that signed the create of the meeting, since a
/// receiver could use a token of any other secret against the front-end whose secret that is. Of
/// meetings that the original created it is not known: there, the first configured secret signs.
async fn find_signing_secret(
    app: &App,
    message: &OutboxMessage,
) -> Result<Option<String>, StoreError> {
    let secrets: Vec<String> = match message.tenant.as_deref() {
        None => app.policy.secrets.clone(),
        Some(id) => {
            let tenant = app.tenants.find_tenant(id).await?;
            tenant.iter().flat_map(|tenant| tenant.each_secret()).map(str::to_owned).collect()
        }
    };
    let mut secrets = secrets.into_iter();
    Ok(match &message.secret_hint {
        Some(hint) => secrets.find(|secret| secret_hint(secret) == *hint),
        None => secrets.next(),
    })
}

/// Builds the signed request for a message; `None` if it cannot be signed.
fn build_request(app: &App, message: &OutboxMessage, secret: &str) -> Option<CallbackRequest> {
    let url = message.url.clone();
    match message.topic {
        MessageTopic::RecordingReady => {
            let mut claims = Claims::new();
            claims.insert("meeting_id".to_owned(), message.meeting_id.clone().into());
            claims.insert("record_id".to_owned(), message.record_id.clone().into());
            // Greenlight accepts only HS256.
            let is_only_sha512 = app.policy.algorithms.is_only(Algorithm::Sha512);
            let algorithm =
                if is_only_sha512 { TokenAlgorithm::Hs512 } else { TokenAlgorithm::Hs256 };
            let mut form = Query::default();
            form.push("signed_parameters", &token::sign(&claims, secret, algorithm)?);
            let content_type = "application/x-www-form-urlencoded";
            let content = Some(CallbackContent { content_type, body: form.to_text().into() });
            Some(CallbackRequest { url, bearer_token: None, headers: Vec::new(), content })
        }
        MessageTopic::Analytics => {
            let body = message.body.clone().unwrap_or_default();
            let expires_s = app.clock.now().0 / 1000 + TOKEN_LIFETIME_S;
            let claims = bound_claims(&message.meeting_id, &body, expires_s);
            let bearer_token = Some(token::sign(&claims, secret, TokenAlgorithm::Hs512)?);
            let body = Bytes::from(body);
            let content = Some(CallbackContent { content_type: "application/json", body });
            Some(CallbackRequest { url, bearer_token, headers: Vec::new(), content })
        }
        MessageTopic::MeetingEnded => None,
    }
}
