//! JSON Web Tokens signed with a shared secret. BBB, Scalelite and Greenlight use them to prove the
//! origin of a message. Source: RFC 7519, and the callbacks of BBB's record-and-playback scripts.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Map, Value};

/// The signature algorithm of a token. No other algorithm is accepted, in particular not `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-512.
    Hs512,
}

impl From<TokenAlgorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: TokenAlgorithm) -> Self {
        match algorithm {
            TokenAlgorithm::Hs256 => Self::HS256,
            TokenAlgorithm::Hs512 => Self::HS512,
        }
    }
}

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// Signs claims. Returns `None` if the library fails, which no input is known to cause.
#[must_use]
pub fn sign(claims: &Claims, secret: &str, algorithm: TokenAlgorithm) -> Option<String> {
    encode(&Header::new(algorithm.into()), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .ok()
}

/// Verifies a token and returns its claims.
///
/// Returns `None` if the token was not signed with this algorithm and secret, if it has expired
/// (`exp`, in seconds since 1970; a token without it does not expire), or if the secret is empty.
#[must_use]
pub fn verify(token: &str, secret: &str, algorithm: TokenAlgorithm, now_ms: i64) -> Option<Claims> {
    if secret.is_empty() {
        return None;
    }
    let mut validation = Validation::new(algorithm.into());
    // The library would read the clock; the caller passes the time instead.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims: Claims =
        decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation).ok()?.claims;
    let is_expired = match claims.get("exp") {
        None => false,
        Some(exp) => read_seconds(exp).is_none_or(|exp| exp * 1000.0 <= now_ms as f64),
    };
    (!is_expired).then_some(claims)
}

/// A time in seconds: a number, or its digits in a string, as the original writes it into its cookies.
fn read_seconds(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        value => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_example_of_jwt_io_verifies() {
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0\
            IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let verified = verify(token, "your-256-bit-secret", TokenAlgorithm::Hs256, 0).unwrap();
        assert_eq!(verified.get("name"), Some(&json!("John Doe")));
        assert_eq!(verify(token, "your-256-bit-secreu", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify(token, "your-256-bit-secret", TokenAlgorithm::Hs512, 0), None);
    }

    #[test]
    fn signed_tokens_verify_until_they_expire() {
        let token_claims = claims(json!({ "meeting_id": "ä", "exp": 100 }));
        for algorithm in [TokenAlgorithm::Hs256, TokenAlgorithm::Hs512] {
            let token = sign(&token_claims, "secret", algorithm).unwrap();
            assert_eq!(verify(&token, "secret", algorithm, 99_999), Some(token_claims.clone()));
            assert_eq!(verify(&token, "secret", algorithm, 100_000), None);
            assert_eq!(verify(&token, "", algorithm, 0), None);
        }
        for (exp, is_valid) in [
            (json!("100"), true),
            (json!("99"), false),
            (json!("soon"), false),
            (json!(""), false),
            (json!("-100"), false),
            (json!("inf"), false),
            (json!(null), false),
            (json!([100]), false),
        ] {
            let token =
                sign(&claims(json!({ "exp": exp })), "secret", TokenAlgorithm::Hs256).unwrap();
            let verified = verify(&token, "secret", TokenAlgorithm::Hs256, 99_999);
            assert_eq!(verified.is_some(), is_valid, "{exp}");
        }
    }

    #[test]
    fn unsigned_tokens_are_refused() {
        let none = "eyJhbGciOiJub25lIn0.eyJtZWV0aW5nX2lkIjoiYSJ9.";
        assert_eq!(verify(none, "secret", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify("", "secret", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify("a.b.c", "secret", TokenAlgorithm::Hs512, 0), None);
    }
}
