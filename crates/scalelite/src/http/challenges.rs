//! Answers the questions of the authority of certificates at the plain port (HTTP-01).

use app::api::ApiError;
use http::StatusCode;

use super::message::HttpResponse;
use super::respond;
use super::state::HttpState;

/// Name of the call, for the log.
const CALL_NAME: &str = "certificate challenge";
/// Longest token that is looked up, in characters.
const MAX_TOKEN_CHARS: usize = 256;

/// Answers with what the authority expects for a token.
pub(super) async fn answer(state: &HttpState, token: &str) -> HttpResponse {
    let Some(answers) = &state.challenges else {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    };
    let is_token = |token: &str| {
        token.len() <= MAX_TOKEN_CHARS
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let text = if is_token(token) { answers.text_for(token).await } else { None };
    match text {
        Some(text) => HttpResponse::ok(CALL_NAME, respond::text(StatusCode::OK, text)),
        None => {
            let response = respond::text(StatusCode::NOT_FOUND, "");
            let mut unknown = HttpResponse::ok(CALL_NAME, response);
            unknown.result = "unknown token".to_owned();
            unknown
        }
    }
}
