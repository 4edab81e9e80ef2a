//! What the head of an analytics report proves, so that its body is read only from a server of the pool.

use bbb::token::{TokenAlgorithm, verify};

use crate::context::App;
use crate::ports::StoreError;

/// Longest token that is looked at, in bytes: it is verified with the secret of each server.
const MAX_TOKEN_BYTES: usize = 4096;

/// Returns whether a server of the pool has signed the token of a report. Which server may report on the meeting is decided
/// when the report is read.
///
/// # Errors
/// When the store fails.
pub async fn is_token_of_a_server(app: &App, token: &str) -> Result<bool, StoreError> {
    // Header, claims and signature.
    if token.len() > MAX_TOKEN_BYTES || token.split('.').count() != 3 {
        return Ok(false);
    }
    let (servers, now_ms) = (app.pool.list_servers().await?, app.clock.now().0);
    let has_signed = |secret: &str| verify(token, secret, TokenAlgorithm::Hs512, now_ms).is_some();
    Ok(servers.iter().any(|server| has_signed(&server.secret)))
}
