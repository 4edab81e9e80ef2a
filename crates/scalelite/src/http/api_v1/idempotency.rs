//! `Idempotency-Key`: a POST that is repeated with the same key is not made again; the client gets the first answer. Answers are
//! remembered for a day, sealed, since one may be a new token.

use std::sync::Arc;

use app::App;
use app::ports::{KeyedRequest, RequestClaim};
use app::token_authentication::TokenHolder;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use super::endpoint::Answer;
use super::problem::{InputFault, Problem};

/// The header.
pub(super) const HEADER: &str = "idempotency-key";
/// Longest key, in bytes.
pub(super) const MAX_KEY_BYTES: usize = 255;
/// How long an answer is remembered, in ms.
const REMEMBERED_MS: i64 = 86_400_000;
/// Most answers that are remembered.
const MAX_REMEMBERED: usize = 10_000;
/// What sealed answers belong to.
const CONTEXT: &str = "answer of the management API";

/// A request with a key.
pub(super) struct Keyed(KeyedRequest);

/// What to do with a request.
pub(super) enum Decision {
    /// It has no key, or is made for the first time.
    Make(Option<Keyed>),
    /// It was made before.
    Repeat(Answer),
}

/// Finds out whether a request was made before, and claims its key.
///
/// # Errors
/// When the key cannot be used, belongs to another request, or to one that is not answered yet.
pub(super) async fn begin(
    app: &App,
    holder: &Arc<TokenHolder>,
    headers: &HeaderMap,
    (target, body): (&str, &[u8]),
) -> Result<Decision, Problem> {
    let Some(key) = headers.get(HEADER) else { return Ok(Decision::Make(None)) };
    let is_valid = |key: &&str| {
        (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let Some(key) = key.to_str().ok().filter(is_valid) else {
        let detail = "1 to 255 visible ASCII characters".to_owned();
        let pointer = "/Idempotency-Key".to_owned();
        return Err(Problem::bad_request(vec![InputFault { part: "header", pointer, detail }]));
    };
    let request = KeyedRequest {
        key: digest(&[holder.id.as_bytes(), key.as_bytes()]),
        fingerprint: digest(&[target.as_bytes(), body]),
    };
    let now = app.clock.now();
    let until = now.plus_ms(REMEMBERED_MS);
    match app.requests.claim_request(&request, now, until, MAX_REMEMBERED).await? {
        RequestClaim::Claimed => Ok(Decision::Make(Some(Keyed(request)))),
        RequestClaim::Answered(sealed) => {
            let plain = app.sealer.open(CONTEXT, &sealed);
            let answer = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
            answer.map(Decision::Repeat).ok_or_else(|| {
                let detail = "the request was made, but its answer was sealed with another secret";
                Problem::conflict("answer-lost", detail)
            })
        }
        RequestClaim::UnderWay => {
            let detail =
                "the request with this key is being made, or it is unknown what became of it";
            Err(Problem::conflict("request-under-way", detail))
        }
        RequestClaim::OtherRequest => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key-reused",
            "The key belongs to another request",
            "Idempotency-Key was used for another request in the last day",
        )),
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

/// Remembers the answer of a request. One that was refused or failed may be made again: a key that stayed taken would keep its client
/// from ever making it.
pub(super) async fn end(app: &App, keyed: Option<Keyed>, result: &Result<Answer, Problem>) {
    let Some(Keyed(request)) = keyed else { return };
    let remembered = match result {
        Ok(answer) => {
            let plain = serde_json::to_vec(answer).unwrap_or_default();
            let Some(sealed) = app.sealer.seal(CONTEXT, &plain) else { return };
            let until = app.clock.now().plus_ms(REMEMBERED_MS);
            app.requests.remember_answer(&request, &sealed, until).await
        }
        Err(_) => app.requests.forget_request(&request).await,
    };
    if let Err(error) = remembered {
        tracing::warn!(%error, "answer of a request not remembered");
    }
}
