//! A hint at the secret that signed a create, stored with its callbacks.

use bbb::Algorithm;
use bbb::checksum::compute_checksum;

/// Returns a short hash that tells one secret from another without revealing it.
#[must_use]
pub fn secret_hint(secret: &str) -> String {
    compute_checksum("callback", "", secret, Algorithm::Sha256).chars().take(16).collect()
}
