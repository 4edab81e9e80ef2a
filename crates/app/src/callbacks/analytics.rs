//! What servers report of a meeting on its way to the front-end. Source: BBB's
//! `post_events_analytics_callback.rb`: JSON, and a token signed with the server's secret.

use bbb::Algorithm;
use bbb::checksum::compute_checksum;
use bbb::token::{self, TokenAlgorithm};
use domain::recording::Callback;
use domain::{Server, Timestamp};
use serde_json::{Map, Value};

use crate::context::App;
use crate::ports::{MessageTopic, OutboxMessage, StoreError};
use crate::tenancy::Caller;

/// What a report says of whose it is, without tenants.
const DEFAULT_CUSTOMER: &str = "scalelite";

/// Why a report goes nowhere. Servers are not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnalyticsError {
    /// It is no report.
    #[error("no JSON object that names a meeting")]
    Unreadable,
    /// Its token is none of the server that has the meeting.
    #[error("not signed by the meeting's server")]
    Forged,
    /// Nobody wants it.
    #[error("nobody asked for it")]
    Unwanted,
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps a report of a server for the front-end that asked for it.
///
/// # Errors
/// When it is not wanted, not a report, or not from the server that has the meeting.
pub async fn accept_analytics(
    app: &App,
    caller: &Caller,
    token: &str,
    body: &[u8],
) -> Result<(), AnalyticsError> {
    let mut report: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| AnalyticsError::Unreadable)?;
    let meeting_id = report.get("meeting_id").and_then(Value::as_str);
    let meeting_id = meeting_id.ok_or(AnalyticsError::Unreadable)?.to_owned();
    let records = app.recording_store.as_ref().ok_or(AnalyticsError::Unwanted)?;
    let key = caller.meeting_key(meeting_id);
    let callback = records.find_callback(&key).await?.ok_or(AnalyticsError::Unwanted)?;
    let running = app.pool.find_meeting(&key).await?.map(|located| located.server.id.0);
    let host = running.or_else(|| callback.attribute(Callback::SERVER).map(str::to_owned));
    let servers = app.pool.list_servers().await?;
    let now = app.clock.now();
    if !is_signed(token, &servers, host.as_deref(), now) {
        return Err(AnalyticsError::Forged);
    }
    let url =
        callback.attribute(Callback::ANALYTICS_URL).ok_or(AnalyticsError::Unwanted)?.to_owned();
    let customer = caller.tenant().map_or(DEFAULT_CUSTOMER, |tenant| tenant.name.as_str());
    report.insert("customer".to_owned(), customer.into());
    let text = Value::Object(report).to_string();
    let message = OutboxMessage {
        // A server that reports again after a lost answer tells nothing new.
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

/// Whether the token is one of the server that has the meeting. Of meetings that the original created we do not know
/// which one that is: any server of the pool may have it.
fn is_signed(token: &str, servers: &[Server], host: Option<&str>, now: Timestamp) -> bool {
    let may_have_it = |server: &&Server| host.is_none_or(|host| server.id.0 == host);
    let signed = |server: &Server| {
        token::verify(token, &server.secret, TokenAlgorithm::Hs512, now.0).is_some()
    };
    servers.iter().filter(may_have_it).any(signed)
}
