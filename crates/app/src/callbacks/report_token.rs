//! The tokens of analytics reports. BBB's say only when they expire; ours also name the meeting and
//! the body, so that a receiver cannot use them for another report.

use bbb::Algorithm;
use bbb::checksum::compute_checksum;
use bbb::token::Claims;
use domain::Timestamp;
use serde_json::Value;

/// The claim with the time of expiry, in seconds since 1970.
const EXPIRY_CLAIM: &str = "exp";
/// The claim with the meeting id.
const MEETING_CLAIM: &str = "meeting_id";
/// The claim with the SHA-256 of the body, in hexadecimal digits.
const BODY_CLAIM: &str = "body_sha256";
/// How far ahead the expiry of a server's token may be, in seconds. BBB's tokens are valid for a day;
/// as much again is for servers whose clocks are wrong.
const MAX_LIFETIME_S: f64 = 2.0 * 86_400.0;

/// The claims of a token for this report only.
pub(super) fn bound_claims(meeting_id: &str, body: &str, expires_s: i64) -> Claims {
    let mut claims = Claims::new();
    claims.insert(EXPIRY_CLAIM.to_owned(), Value::from(expires_s));
    claims.insert(MEETING_CLAIM.to_owned(), meeting_id.into());
    claims.insert(BODY_CLAIM.to_owned(), hash_body(body).into());
    claims
}

/// Whether the claims of a verified token are good for this report: they expire, not too late, and
/// name no other meeting or body. BBB's name none.
pub(super) fn permit_report(claims: &Claims, meeting_id: &str, body: &str, now: Timestamp) -> bool {
    let expires_s = claims.get(EXPIRY_CLAIM).and_then(Value::as_f64);
    let remaining_s = expires_s.map(|expires_s| expires_s - now.0 as f64 / 1000.0);
    let names = |name: &str, expected: &dyn Fn() -> String| {
        claims.get(name).is_none_or(|value| value.as_str() == Some(expected().as_str()))
    };
    remaining_s.is_some_and(|remaining_s| remaining_s > 0.0 && remaining_s <= MAX_LIFETIME_S)
        && names(MEETING_CLAIM, &|| meeting_id.to_owned())
        && names(BODY_CLAIM, &|| hash_body(body))
}

fn hash_body(body: &str) -> String {
    compute_checksum("", body, "", Algorithm::Sha256)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_must_expire_soon_and_name_no_other_report() {
        let permits = |claims: Value, id: &str, body: &str| {
            let claims = claims.as_object().unwrap().clone();
            permit_report(&claims, id, body, Timestamp(1_000_000))
        };
        // As BBB sends it.
        assert!(permits(json!({ "exp": 1000 + 86_400 }), "m", "{}"));
        for claims in [
            json!({}),
            json!({ "exp": 1000 }),
            json!({ "exp": "later" }),
            json!({ "exp": 1000 + 3 * 86_400 }),
            json!({ "exp": 2000, "meeting_id": "other" }),
            json!({ "exp": 2000, "meeting_id": 1 }),
            json!({ "exp": 2000, "body_sha256": "00" }),
        ] {
            assert!(!permits(claims.clone(), "m", "{}"), "{claims}");
        }
        let ours = Value::Object(bound_claims("m", "{}", 2000));
        assert!(permits(ours.clone(), "m", "{}"));
        assert!(!permits(ours.clone(), "n", "{}"));
        assert!(!permits(ours, "m", "{ }"));
    }
}
