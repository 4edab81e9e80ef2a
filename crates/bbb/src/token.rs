//! Tokens that prove where a message comes from: JSON Web Tokens signed with a shared secret, as BBB, Scalelite and
//! Greenlight exchange them. Source: RFC 7519, and the callbacks of BBB's record-and-playback scripts.

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Map, Value};

/// How a token is signed. Nothing else is ever accepted, `none` least of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-512.
    Hs512,
}

impl From<TokenAlgorithm> for jsonwebtoken::Algorithm {
    fn from(signature: TokenAlgorithm) -> Self {
        match signature {
            TokenAlgorithm::Hs256 => Self::HS256,
            TokenAlgorithm::Hs512 => Self::HS512,
        }
    }
}

/// What a token says.
pub type Claims = Map<String, Value>;

/// A token that says so. `None` if it cannot be made, which no text leads to.
#[must_use]
pub fn sign(claims: &Claims, secret: &str, signature: TokenAlgorithm) -> Option<String> {
    encode(&Header::new(signature.into()), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .ok()
}

/// What a token says, if it was signed so with that secret, and, if it names a time at which it ends (`exp`, in
/// seconds since 1970), that has not come. An empty secret signs nothing.
#[must_use]
pub fn verify(token: &str, secret: &str, signature: TokenAlgorithm, now_ms: i64) -> Option<Claims> {
    if secret.is_empty() {
        return None;
    }
    let mut validation = Validation::new(signature.into());
    // The clock is the caller's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims: Claims =
        decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation).ok()?.claims;
    let is_over = match claims.get("exp") {
        None => false,
        Some(exp) => exp.as_f64().is_none_or(|exp| exp * 1000.0 <= now_ms as f64),
    };
    (!is_over).then_some(claims)
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
        // The example of jwt.io, whose claims stand in this order.
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0\
            IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let said = verify(token, "your-256-bit-secret", TokenAlgorithm::Hs256, 0).unwrap();
        assert_eq!(said.get("name"), Some(&json!("John Doe")));
        assert_eq!(verify(token, "your-256-bit-secreu", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify(token, "your-256-bit-secret", TokenAlgorithm::Hs512, 0), None);
    }

    #[test]
    fn what_is_signed_is_verified() {
        let said = claims(json!({ "meeting_id": "ä", "exp": 100 }));
        for signature in [TokenAlgorithm::Hs256, TokenAlgorithm::Hs512] {
            let token = sign(&said, "secret", signature).unwrap();
            assert_eq!(verify(&token, "secret", signature, 99_999), Some(said.clone()));
            assert_eq!(verify(&token, "secret", signature, 100_000), None);
            assert_eq!(verify(&token, "", signature, 0), None);
        }
        let token =
            sign(&claims(json!({ "exp": "soon" })), "secret", TokenAlgorithm::Hs256).unwrap();
        assert_eq!(verify(&token, "secret", TokenAlgorithm::Hs256, 0), None);
    }

    #[test]
    fn unsigned_tokens_are_refused() {
        let none = "eyJhbGciOiJub25lIn0.eyJtZWV0aW5nX2lkIjoiYSJ9.";
        assert_eq!(verify(none, "secret", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify("", "secret", TokenAlgorithm::Hs256, 0), None);
        assert_eq!(verify("a.b.c", "secret", TokenAlgorithm::Hs512, 0), None);
    }
}
