//! Accepts the analytics reports that servers send after a meeting, for the front-end that created
//! it. Source of the format: BBB's `post_events_analytics_callback.rb`, which sends JSON and a
//! token signed with the server's secret.

use bbb::Algorithm;
use bbb::checksum::compute_checksum;
use bbb::token::{self, TokenAlgorithm};
use domain::Server;
use domain::recording::Callback;
use serde_json::{Map, Value};

use crate::context::App;
use crate::ports::{MessageTopic, OutboxMessage, StoreError};
use crate::tenancy::Caller;

use super::report_token::permit_report;

/// The customer that a report names without multitenancy.
const DEFAULT_CUSTOMER: &str = "scalelite";

/// Why a report is dropped. Servers are not told the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalyticsError {
    /// The body is not a JSON object with a meeting id.
    #[error("the body is not a JSON object with a meeting_id")]
    Unreadable,
    /// The token is not signed by the server of the meeting, does not expire, or is that of another
    /// report.
    #[error("not signed by the meeting's server for this report")]
    Forged,
    /// No front-end asked for reports of this meeting.
    #[error("no callback is registered for the meeting")]
    Unwanted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks a report of a server, and posts it to the outbox for the front-end that asked for it.
///
/// # Errors
/// When no front-end asked for it, the body is not a report, the server of the meeting did not sign
/// it, or the store fails.
pub async fn accept_analytics(
    app: &App,
    caller: &Caller,
    token: &str,
    body: &[u8],
) -> Result<(), AnalyticsError> {
    let body = std::str::from_utf8(body).map_err(|_| AnalyticsError::Unreadable)?;
    let mut report: Map<String, Value> =
        serde_json::from_str(body).map_err(|_| AnalyticsError::Unreadable)?;
    let meeting_id = report.get("meeting_id").and_then(Value::as_str);
    let meeting_id = meeting_id.ok_or(AnalyticsError::Unreadable)?.to_owned();
    let records = app.recording_store.as_ref().ok_or(AnalyticsError::Unwanted)?;
    let key = caller.meeting_key(meeting_id);
    let callback = records.find_callback(&key).await?.ok_or(AnalyticsError::Unwanted)?;
    let running_on = app.pool.find_meeting(&key).await?.map(|meeting| meeting.server.id.0);
    let server = running_on.or_else(|| callback.attribute(Callback::SERVER).map(str::to_owned));
    let servers = app.pool.list_servers().await?;
    let now = app.clock.now();
    let is_signed = |server: &&Server| {
        let claims = token::verify(token, &server.secret, TokenAlgorithm::Hs512, now.0);
        claims.is_some_and(|claims| permit_report(&claims, &key.id, body, now))
    };
    // Of meetings that the original created the server is not known, and any server of the pool may
    // have signed the report.
    let may_sign = |candidate: &&Server| server.as_ref().is_none_or(|id| candidate.id.0 == *id);
    if !servers.iter().filter(may_sign).any(|server| is_signed(&server)) {
        return Err(AnalyticsError::Forged);
    }
    let url =
        callback.attribute(Callback::ANALYTICS_URL).ok_or(AnalyticsError::Unwanted)?.to_owned();
    let customer = caller.tenant().map_or(DEFAULT_CUSTOMER, |tenant| tenant.name.as_str());
    report.insert("customer".to_owned(), customer.into());
    let text = Value::Object(report).to_string();
    let message = OutboxMessage {
        // The id depends on the content: a server that repeats a report after a lost response adds
        // no message.
        id: format!("analytics:{}", compute_checksum(&key.id, &text, "", Algorithm::Sha256)),
        topic: MessageTopic::Analytics,
        tenant: key.tenant,
        meeting_id: key.id,
        record_id: None,
        url,
        body: Some(text),
        secret_hint: callback.attribute(Callback::SECRET_HINT).map(str::to_owned),
        posted_at: now,
        attempts: 0,
        failure: None,
        due_at: Some(now),
    };
    Ok(records.post_message(&message).await?)
}
