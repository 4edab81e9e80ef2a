//! Who may call the management API, and how calls prove it: by a checksum, as in the original, or by a token that signs the whole request.
//!
//! A token (JWT, HS256) has the claims `aud` (`scalelite-management`), `sub` (the call), `query` (the query as it is sent), `body` (SHA-256 of
//! the body in hex), `iat` (the time in seconds) and `jti` (a random text). Each is accepted once, for five minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bbb::token::{Claims, TokenAlgorithm, verify};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The audience of tokens, so that no other token is valid here.
const AUDIENCE: &str = "scalelite-management";
/// How far the time of a token may be from ours, in seconds.
const MAX_AGE_S: f64 = 300.0;
/// How long a `jti` is remembered, in ms: as long as a token may be accepted.
const REMEMBERED_MS: i64 = 600_000;
/// Largest number of remembered `jti`. Only valid tokens are counted.
const MAX_REMEMBERED: usize = 10_000;
/// Shortest and longest `jti`, in bytes.
const JTI_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// What a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ManagementRight {
    /// Everything but see secrets.
    Manage,
    /// Everything.
    SeeSecrets,
}

/// Who may call the management API.
#[derive(Debug)]
pub struct ManagementRules {
    /// Whether it is served where front-ends are.
    pub is_public: bool,
    /// Whether administrators' socket has the console.
    pub has_console: bool,
    /// Whether the console is served where front-ends are.
    pub has_public_console: bool,
    /// Secrets that sign calls.
    pub secrets: Vec<String>,
    /// Secrets that also sign calls which see secrets.
    pub reveal_secrets: Vec<String>,
    /// Whether every call sees secrets, as in the original.
    pub shows_secrets: bool,
    /// Whether only calls are accepted whose token signs the whole request.
    pub requires_tokens: bool,
    /// The `jti` of accepted tokens, and until when each is remembered, in ms since 1970.
    pub used_tokens: Arc<UsedTokens>,
}

/// The tokens that were accepted lately.
#[derive(Debug, Default)]
pub struct UsedTokens(Mutex<HashMap<String, i64>>);

/// The parts of a call that a token signs.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedRequest<'a> {
    pub(super) call: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
}

impl ManagementRules {
    /// Returns all secrets that sign calls.
    pub(super) fn all_secrets(&self) -> Vec<String> {
        [self.secrets.as_slice(), &self.reveal_secrets].concat()
    }

    /// Returns the right of calls that this secret signs.
    pub(super) fn right_of(&self, secret: &str) -> ManagementRight {
        match self.shows_secrets || self.reveal_secrets.iter().any(|known| known == secret) {
            true => ManagementRight::SeeSecrets,
            false => ManagementRight::Manage,
        }
    }

    /// Verifies the signature and the time of a token, before the body is read. Returns its claims, and the right of its secret.
    pub(super) fn verify_token(
        &self,
        token: &str,
        now_ms: i64,
    ) -> Option<(Claims, ManagementRight)> {
        let secrets = self.all_secrets();
        let (claims, secret) = secrets.iter().find_map(|secret| {
            verify(token, secret, TokenAlgorithm::Hs256, now_ms).map(|claims| (claims, secret))
        })?;
        let issued_s = claims.get("iat").and_then(Value::as_f64)?;
        let is_recent = (issued_s - now_ms as f64 / 1000.0).abs() <= MAX_AGE_S;
        let is_valid = is_recent && text(&claims, "aud") == Some(AUDIENCE);
        let right = self.right_of(secret);
        is_valid.then_some((claims, right))
    }

    /// Returns whether the claims of a verified token are those of this request, and the token is used for the first time.
    pub(super) fn use_token(
        &self,
        claims: &Claims,
        request: SignedRequest<'_>,
        now_ms: i64,
    ) -> bool {
        let digest = Sha256::digest(request.body);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_signed = text(claims, "sub") == Some(request.call)
            && text(claims, "query") == Some(request.query)
            && text(claims, "body").is_some_and(|body| body.eq_ignore_ascii_case(&digest));
        is_signed && text(claims, "jti").is_some_and(|jti| self.used_tokens.add(jti, now_ms))
    }
}

impl UsedTokens {
    /// Remembers a token; returns whether it is new.
    fn add(&self, jti: &str, now_ms: i64) -> bool {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| now_ms < *until);
        if !JTI_BYTES.contains(&jti.len()) || used.len() >= MAX_REMEMBERED {
            return false;
        }
        used.insert(jti.to_owned(), now_ms.saturating_add(REMEMBERED_MS)).is_none()
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}
