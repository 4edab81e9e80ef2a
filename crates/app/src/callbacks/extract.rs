//! Takes the addresses of callbacks out of a create, and keeps them.

use std::time::Duration;

use bbb::Query;
use domain::recording::Callback;
use domain::{MeetingKey, ServerId};
use tokio::time::timeout;

use crate::context::App;
use crate::ports::StoreError;
use crate::tenancy::Caller;

use super::{ANALYTICS_PATH, secret_hint};

/// Where front-ends name the address that hears of recordings; the first one given counts.
const READY_URL_PARAMETERS: [&str; 3] = [
    "meta_bn-recording-ready-url",
    "meta_bbb-recording-ready-url",
    "meta_canvas-recording-ready-url",
];
/// Where they name the one that hears what happened in the meeting.
const ANALYTICS_URL_PARAMETER: &str = "meta_analytics-callback-url";
/// People wait for the meeting.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a create was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct CreateOrigin<'a> {
    /// The host it was sent to, without its port.
    pub host: &'a str,
    /// The secret that signed it.
    pub secret: Option<&'a str>,
}

/// Keeps the addresses that a create names. The server gets ours instead of the one for analytics, and
/// none for recordings, which reach us first. A create does not fail for that: what cannot be kept is logged.
///
/// Returns whether the server is going to report what happens in the meeting.
pub async fn extract_callbacks(
    app: &App,
    caller: &Caller,
    asked: CreateOrigin<'_>,
    query: &mut Query,
) -> bool {
    let Some(meeting_id) = query.get("meetingID").map(|id| id.into_owned()) else {
        return false;
    };
    let ready = READY_URL_PARAMETERS.iter().find_map(|name| find_metadata(query, name));
    let analytics = find_metadata(query, ANALYTICS_URL_PARAMETER);
    query.retain(|name| !READY_URL_PARAMETERS.iter().any(|ready| name.eq_ignore_ascii_case(ready)));
    if analytics.is_some() {
        query.retain(|name| !name.eq_ignore_ascii_case(ANALYTICS_URL_PARAMETER));
        query.set(ANALYTICS_URL_PARAMETER, &analytics_url(app, caller, asked.host));
    }
    if ready.is_none() && analytics.is_none() {
        return false;
    }
    let now = app.clock.now();
    let given = [
        (Callback::READY_URL, ready),
        (Callback::ANALYTICS_URL, analytics),
        (Callback::SECRET_HINT, asked.secret.map(secret_hint)),
        (Callback::TENANT, caller.tenant_id().map(str::to_owned)),
    ];
    let attributes =
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let callback =
        Callback { meeting_id, record_id: None, attributes, created_at: now, updated_at: now };
    let kept = store_callback(app, &callback).await;
    kept && callback.attribute(Callback::ANALYTICS_URL).is_some()
}

/// The server that has the meeting is the one that may report what happens in it.
pub async fn set_meeting_server(app: &App, key: &MeetingKey, server: &ServerId) {
    let Some(records) = &app.recording_store else {
        return;
    };
    let kept = match records.find_callback(key).await {
        Ok(kept) => kept,
        Err(error) => return tracing::warn!(meeting = key.id, %error, "callback not completed"),
    };
    if let Some(mut callback) = kept {
        callback.set_attribute(Callback::SERVER, &server.0);
        callback.updated_at = app.clock.now();
        store_callback(app, &callback).await;
    }
}

async fn store_callback(app: &App, callback: &Callback) -> bool {
    let Some(records) = &app.recording_store else {
        tracing::warn!(meeting = callback.meeting_id, "callbacks need a database: not kept");
        return false;
    };
    let late = |_| StoreError::Unavailable(format!("not within {} s", STORE_TIMEOUT.as_secs()));
    let kept = timeout(STORE_TIMEOUT, records.put_callback(callback)).await.map_err(late);
    if let Err(error) = kept.and_then(|kept| kept) {
        tracing::error!(meeting = callback.meeting_id, %error, "callback not kept");
        return false;
    }
    true
}

/// The value of metadata, whose names BBB does not tell apart by case.
fn find_metadata(query: &Query, name: &str) -> Option<String> {
    let mut pairs = query.iter();
    let found = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.into_owned()).filter(|value| !value.trim().is_empty())
}

/// Where servers report to: under the name of the tenant's own host.
fn analytics_url(app: &App, caller: &Caller, asked: &str) -> String {
    let host = match (&app.policy.url_host, caller.tenant()) {
        (Some(own), Some(tenant)) => format!("{}.{own}", tenant.name),
        (Some(own), None) => own.clone(),
        (None, _) => asked.to_owned(),
    };
    format!("https://{host}{ANALYTICS_PATH}")
}
