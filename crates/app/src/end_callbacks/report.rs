//! The address that servers call when a meeting ends, and what such a call means: hearsay, since a
//! copy that lost calls as well.

use bbb::Query;
use bbb::token::{self, Claims, TokenAlgorithm};
use domain::MeetingKey;
use serde_json::Value;

use crate::context::App;
use crate::policy::Policy;
use crate::ports::StoreError;

/// The path to which servers report that a meeting has ended.
pub const REPORT_PATH: &str = "/bigbluebutton/api/end_callback";
/// The parameter with the token that names the meeting.
const TOKEN_PARAMETER: &str = "token";
/// The parameter that BBB appends.
const RECORDING_MARKS_PARAMETER: &str = "recordingmarks";
/// The claims of the token.
const MEETING_CLAIM: &str = "ended";
const TENANT_CLAIM: &str = "tenant";

/// Why a report is dropped. Servers are not told the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReportError {
    /// There is no token, or this deployment has not signed it.
    #[error("not an address of this deployment")]
    Forged,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes note of a server's report that a meeting has ended. Whether that is true is checked later.
///
/// # Errors
/// When the address is not one that servers were given, or the store fails.
pub async fn accept_end_report(app: &App, query: &Query) -> Result<(), EndReportError> {
    let token = query.get(TOKEN_PARAMETER).ok_or(EndReportError::Forged)?;
    let key = read_token(&app.policy, &token).ok_or(EndReportError::Forged)?;
    let marks = query.get(RECORDING_MARKS_PARAMETER);
    let marks = marks.map(|value| value.eq_ignore_ascii_case("true"));
    tracing::debug!(meeting = key.id, "a server reports an end");
    match &app.recording_store {
        Some(records) => Ok(records.suspect_ends(&[key], marks, app.clock.now()).await?),
        None => Ok(()),
    }
}

/// Returns the URL that servers are given for a meeting. It is the same for all creates of a
/// meeting. `None` if servers cannot be given one.
pub(super) fn report_url(
    policy: &Policy,
    key: &MeetingKey,
    tenant_name: Option<&str>,
) -> Option<String> {
    let mut claims = Claims::new();
    claims.insert(MEETING_CLAIM.to_owned(), key.id.clone().into());
    if let Some(tenant) = &key.tenant {
        claims.insert(TENANT_CLAIM.to_owned(), tenant.clone().into());
    }
    let token = token::sign(&claims, policy.secrets.first()?, TokenAlgorithm::Hs256)?;
    let host = policy.public_host(tenant_name)?;
    Some(format!("https://{host}{REPORT_PATH}?{TOKEN_PARAMETER}={token}"))
}

/// Returns the meeting that a token names, if this deployment has signed it.
fn read_token(policy: &Policy, token: &str) -> Option<MeetingKey> {
    let mut secrets = policy.secrets.iter();
    // Without an expiry: meetings may take days.
    let claims =
        secrets.find_map(|secret| token::verify(token, secret, TokenAlgorithm::Hs256, 0))?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(MeetingKey { tenant: text(TENANT_CLAIM), id: text(MEETING_CLAIM)? })
}
