//! Access cookies: signed tokens that a visitor gets for a one-time token. Each one grants access
//! to one format of one recording for a while. They have the form of the original's, so that they
//! stay valid when one program replaces the other.

use std::fmt;

use bbb::token::{TokenAlgorithm, sign, verify};
use domain::Timestamp;
use domain::recording::RecordingFormatId;
use serde_json::json;

/// Signs and verifies access cookies.
#[derive(Clone)]
pub struct AccessCookies {
    secret: String,
    valid_ms: i64,
}

impl AccessCookies {
    /// Creates cookies that are signed with `SECRET_KEY_BASE` and valid for so many ms.
    #[must_use]
    pub fn new(secret: String, valid_ms: i64) -> Self {
        Self { secret, valid_ms }
    }

    /// Signs a cookie; `None` without a secret.
    pub(super) fn sign_cookie(
        &self,
        format_id: &RecordingFormatId,
        now: Timestamp,
    ) -> Option<String> {
        if self.secret.is_empty() {
            return None;
        }
        let expires_s = now.0.saturating_add(self.valid_ms).div_euclid(1000);
        let claims = json!({ "sub": format_id.subject(), "exp": expires_s });
        sign(claims.as_object()?, &self.secret, TokenAlgorithm::Hs256)
    }

    /// Whether a cookie is signed with the secret, has not expired, and has this subject.
    pub(super) fn is_valid(&self, cookie: &str, subject: &str, now: Timestamp) -> bool {
        let Some(claims) = verify(cookie, &self.secret, TokenAlgorithm::Hs256, now.0) else {
            return false;
        };
        // A token without an expiry is not an access cookie.
        claims.contains_key("exp") && claims.get("sub").is_some_and(|value| value == subject)
    }
}

impl fmt::Debug for AccessCookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessCookies").field("valid_ms", &self.valid_ms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_opens_one_format_for_a_while() {
        let cookies = AccessCookies::new("secret".to_owned(), 1000);
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let cookie = cookies.sign_cookie(&format_id, Timestamp(5000)).unwrap();
        assert!(cookies.is_valid(&cookie, "/video/r1", Timestamp(5999)));
        assert!(!cookies.is_valid(&cookie, "/video/r1", Timestamp(6000)));
        assert!(!cookies.is_valid(&cookie, "/video/r2", Timestamp(5000)));
        assert!(!cookies.is_valid(&cookie, "/notes/r1", Timestamp(5000)));
        let others = AccessCookies::new("other".to_owned(), 1000);
        assert!(!others.is_valid(&cookie, "/video/r1", Timestamp(5000)));
        assert!(!format!("{cookies:?}").contains("secret"));
    }

    #[test]
    fn a_cookie_of_the_original_has_its_expiry_as_text() {
        let cookies = AccessCookies::new("secret".to_owned(), 1000);
        let claims = json!({ "sub": "/video/r1", "exp": "6" });
        let cookie = sign(claims.as_object().unwrap(), "secret", TokenAlgorithm::Hs256).unwrap();
        assert!(cookies.is_valid(&cookie, "/video/r1", Timestamp(5999)));
        assert!(!cookies.is_valid(&cookie, "/video/r1", Timestamp(6000)));
    }

    #[test]
    fn no_cookie_without_a_secret_or_an_expiry() {
        let format_id = RecordingFormatId::parse("r1", "video").unwrap();
        let unsigned = AccessCookies::new(String::new(), 1000);
        assert_eq!(unsigned.sign_cookie(&format_id, Timestamp(0)), None);
        let cookies = AccessCookies::new("secret".to_owned(), 1000);
        let claims = json!({ "sub": "/video/r1" });
        let endless = sign(claims.as_object().unwrap(), "secret", TokenAlgorithm::Hs256).unwrap();
        assert!(!cookies.is_valid(&endless, "/video/r1", Timestamp(0)));
    }
}
