//! Authentication of uploads: the servers of the pool may upload recordings with tokens that they
//! sign with their secrets.

use bbb::token::{TokenAlgorithm, verify};
use domain::ServerId;
use domain::recording::RecordId;

use crate::context::App;
use crate::ports::StoreError;

/// The audience (`aud`) of upload tokens, so that no other token of a server is valid for uploads.
pub const AUDIENCE: &str = "scalelite-upload";
/// Maximum lifetime of a token, in seconds: ten minutes, and one minute for clocks that differ.
const MAX_LIFETIME_S: f64 = 660.0;

/// Returns the server that signed a token for the upload of this recording; `None` if no server
/// did, or if the token has expired or is valid for too long.
///
/// # Errors
/// When the store fails.
pub async fn find_sender(
    app: &App,
    token: &str,
    record_id: &RecordId,
) -> Result<Option<ServerId>, StoreError> {
    let now_ms = app.clock.now().0;
    let servers = app.pool.list_servers().await?;
    let sender = servers.into_iter().find(|server| {
        let claims = verify(token, &server.secret, TokenAlgorithm::Hs256, now_ms);
        claims.is_some_and(|claims| {
            let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
            let expires_s = claims.get("exp").and_then(serde_json::Value::as_f64);
            let remaining_s = expires_s.map(|expires_s| expires_s - now_ms as f64 / 1000.0);
            text("aud") == Some(AUDIENCE)
                && text("sub") == Some(record_id.as_str())
                && remaining_s.is_some_and(|remaining_s| remaining_s <= MAX_LIFETIME_S)
        })
    });
    Ok(sender.map(|server| server.id))
}
