//! Calls of front-ends, signed as they sign them.

use crate::conformance::http::Outgoing;
use crate::product::{API, SECRET};
use bbb_sim::Algorithm;

/// The target of a signed call.
#[must_use]
pub fn signed(call: &str, query: &str) -> String {
    signed_by(SECRET, call, query)
}

/// The target of a call that is signed with another secret.
#[must_use]
pub fn signed_by(secret: &str, call: &str, query: &str) -> String {
    let checksum = Algorithm::Sha256.hex(&format!("{call}{query}{secret}"));
    let joint = if query.is_empty() { "" } else { "&" };
    format!("{API}/{call}?{query}{joint}checksum={checksum}")
}

/// A request without a body.
#[must_use]
pub fn outgoing(method: &str, target: &str) -> Outgoing {
    Outgoing {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: vec![("Host".to_owned(), "balancer.test".to_owned())],
        body: None,
    }
}
