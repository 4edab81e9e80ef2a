//! Removes the callback addresses from the query of a create, and stores them.

use std::time::Duration;

use bbb::Query;
use domain::recording::Callback;
use domain::{MeetingKey, ServerId};
use tokio::time::timeout;

use crate::context::App;
use crate::ports::StoreError;
use crate::tenancy::Caller;

use super::secret_hint::secret_hint;

/// The path to which servers report what happened in a meeting.
pub const ANALYTICS_PATH: &str = "/bigbluebutton/api/analytics_callback";

/// Parameters with the address that is notified of recordings; the first one that is present
/// counts.
const READY_URL_PARAMETERS: [&str; 3] = [
    "meta_bn-recording-ready-url",
    "meta_bbb-recording-ready-url",
    "meta_canvas-recording-ready-url",
];
/// The parameter with the address that receives analytics reports.
pub(crate) const ANALYTICS_URL_PARAMETER: &str = "meta_analytics-callback-url";
/// How long a create waits until its callbacks are stored. Users are waiting for the meeting.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a create came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct CreateOrigin<'a> {
    /// The host that the create was sent to, without the port.
    pub host: &'a str,
    /// The secret that signed the create.
    pub secret: Option<&'a str>,
}

/// Stores the callback addresses of a create. In the query, the address for analytics is replaced
/// by that of the balancer; the one for recordings is removed, since recordings arrive at the
/// balancer. A create does not fail if the addresses cannot be stored: the error is logged.
///
/// Returns whether the server will report to the balancer what happens in the meeting.
pub async fn extract_callbacks(
    app: &App,
    caller: &Caller,
    origin: CreateOrigin<'_>,
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
        query.set(ANALYTICS_URL_PARAMETER, &analytics_url(app, caller, origin.host));
    }
    if ready.is_none() && analytics.is_none() {
        return false;
    }
    let now = app.clock.now();
    let values = [
        (Callback::READY_URL, ready),
        (Callback::ANALYTICS_URL, analytics),
        (Callback::SECRET_HINT, origin.secret.map(secret_hint)),
        (Callback::TENANT, caller.tenant_id().map(str::to_owned)),
    ];
    let attributes =
        values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let callback =
        Callback { meeting_id, record_id: None, attributes, created_at: now, updated_at: now };
    let is_stored = store_callback(app, &callback).await;
    is_stored && callback.attribute(Callback::ANALYTICS_URL).is_some()
}

/// Stores in a meeting's callback on which server it was created: only this server may report what
/// happens in it.
pub async fn set_meeting_server(app: &App, key: &MeetingKey, server: &ServerId) {
    let Some(records) = &app.recording_store else {
        return;
    };
    let callback = match records.find_callback(key).await {
        Ok(callback) => callback,
        Err(error) => {
            return tracing::warn!(meeting = key.id, %error, "callback server not stored");
        }
    };
    if let Some(mut callback) = callback {
        callback.set_attribute(Callback::SERVER, &server.0);
        callback.updated_at = app.clock.now();
        store_callback(app, &callback).await;
    }
}

/// Stores a callback; returns whether that succeeded, and logs errors.
async fn store_callback(app: &App, callback: &Callback) -> bool {
    let Some(records) = &app.recording_store else {
        tracing::warn!(meeting = callback.meeting_id, "callback not stored: no database");
        return false;
    };
    let result = timeout(STORE_TIMEOUT, records.put_callback(callback)).await;
    let seconds = STORE_TIMEOUT.as_secs();
    let result = result.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!("no response within {seconds} s")))
    });
    if let Err(error) = result {
        tracing::error!(meeting = callback.meeting_id, %error, "callback not stored");
        return false;
    }
    true
}

/// Returns the value of a metadata parameter that is not blank. BBB ignores the case of these
/// names.
fn find_metadata(query: &Query, name: &str) -> Option<String> {
    let value = query.get_ignoring_case(name).map(|value| value.into_owned());
    value.filter(|value| !value.trim().is_empty())
}

/// Returns the URL that servers report to. Its host is the tenant's own, or the one that the create
/// was sent to if `URL_HOST` is not set.
fn analytics_url(app: &App, caller: &Caller, create_host: &str) -> String {
    let host = app.policy.public_host(caller.tenant().map(|tenant| tenant.name.as_str()));
    let host = host.unwrap_or_else(|| create_host.to_owned());
    format!("https://{host}{ANALYTICS_PATH}")
}
