//! Requests for signed API calls.

use crate::conformance::http::ClientRequest;
use crate::product::{API_PATH, SECRET};
use bbb_sim::Algorithm;

/// The target of a call, signed with [`SECRET`].
#[must_use]
pub fn signed_target(call: &str, query: &str) -> String {
    signed_target_with(SECRET, call, query)
}

/// The target of a call, signed with this secret.
#[must_use]
pub fn signed_target_with(secret: &str, call: &str, query: &str) -> String {
    let checksum = Algorithm::Sha256.hex_digest(&format!("{call}{query}{secret}"));
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{API_PATH}/{call}?{query}{separator}checksum={checksum}")
}

/// A request without a body.
#[must_use]
pub fn new_request(method: &str, target: &str) -> ClientRequest {
    ClientRequest {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("Host".to_owned(), "balancer.test".to_owned())],
        body: None,
    }
}
