//! What somebody shows who came in with a one-time token: a token that is good for one format of one recording, for a
//! while. The original's form, so that passes outlive a change from one to the other.

use std::fmt;

use bbb::token::{TokenAlgorithm, sign, verify};
use domain::Timestamp;
use domain::recording::RecordingFormatId;
use serde_json::json;

/// Makes passes and reads them.
#[derive(Clone)]
pub struct AccessCookies {
    secret: String,
    valid_ms: i64,
}

impl AccessCookies {
    /// Passes signed with `SECRET_KEY_BASE`, good for so many ms.
    #[must_use]
    pub fn new(secret: String, valid_ms: i64) -> Self {
        Self { secret, valid_ms }
    }

    /// A pass; none without a secret.
    pub(super) fn sign_cookie(
        &self,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Option<String> {
        if self.secret.is_empty() {
            return None;
        }
        let until_s = now.0.saturating_add(self.valid_ms).div_euclid(1000);
        let claims = json!({ "sub": format_id.subject(), "exp": until_s });
        sign(claims.as_object()?, &self.secret, TokenAlgorithm::Hs256)
    }

    /// Whether a pass is ours, in force, and about this.
    pub(super) fn is_valid(&self, pass: &str, subject: &str, now: Timestamp) -> bool {
        let Some(claims) = verify(pass, &self.secret, TokenAlgorithm::Hs256, now.0) else {
            return false;
        };
        // One that never ends is none of ours.
        claims.contains_key("exp") && claims.get("sub").is_some_and(|about| about == subject)
    }
}

impl fmt::Debug for AccessCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passes").field("valid_ms", &self.valid_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_opens_one_format_for_a_while() {
        let passes = AccessCookies::new("secret".to_owned(), 1000);
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let pass = passes.sign_cookie(&format_id, Timestamp(5000)).unwrap();
        assert!(passes.is_valid(&pass, "/video/r1", Timestamp(5999)));
        assert!(!passes.is_valid(&pass, "/video/r1", Timestamp(6000)));
        assert!(!passes.is_valid(&pass, "/video/r2", Timestamp(5000)));
        assert!(!passes.is_valid(&pass, "/notes/r1", Timestamp(5000)));
        let others = AccessCookies::new("other".to_owned(), 1000);
        assert!(!others.is_valid(&pass, "/video/r1", Timestamp(5000)));
        assert!(!format!("{passes:?}").contains("secret"));
    }

    #[test]
    fn no_cookie_without_a_secret_or_an_expiry() {
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        assert_eq!(
            AccessCookies::new(String::new(), 1000).sign_cookie(&format_id, Timestamp(0)),
            None
        );
        let passes = AccessCookies::new("secret".to_owned(), 1000);
        let endless = json!({ "sub": "/video/r1" });
        let endless = sign(endless.as_object().unwrap(), "secret", TokenAlgorithm::Hs256).unwrap();
        assert!(!passes.is_valid(&endless, "/video/r1", Timestamp(0)));
    }
}
