//! Who may send us recordings: the servers of the pool, each by tokens that it signs with its own secret.

use domain::ServerId;
use domain::recording::RecordId;

use crate::App;
use crate::ports::StoreError;
use bbb::token::{TokenAlgorithm, verify};

/// What tokens for uploads are for, so that no other token of a server is one.
pub const AUDIENCE: &str = "scalelite-upload";
/// The longest that a token may last, in seconds; with a minute for clocks that differ.
const MAX_LIFETIME_S: f64 = 660.0;

/// The server that signed a token for the upload of this recording; `None` if none did, or it is over.
///
/// # Errors
/// When the store cannot be used.
pub async fn find_sender(
    app: &App,
    token: &str,
    record_id: &RecordId,
) -> Result<Option<ServerId>, StoreError> {
    let now_ms = app.clock.now().0;
    let servers = app.pool.list_servers().await?;
    let signed = servers.into_iter().find(|server| {
        let claims = verify(token, &server.secret, TokenAlgorithm::Hs256, now_ms);
        claims.is_some_and(|claims| {
            let text = |name: &str| claims.get(name).and_then(|value| value.as_str());
            let ends = claims.get("exp").and_then(serde_json::Value::as_f64);
            let lasts = ends.map(|exp| exp - now_ms as f64 / 1000.0);
            text("aud") == Some(AUDIENCE)
                && text("sub") == Some(record_id.as_str())
                && lasts.is_some_and(|lasts| lasts <= MAX_LIFETIME_S)
        })
    });
    Ok(signed.map(|server| server.id))
}
