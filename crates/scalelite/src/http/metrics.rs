//! Metrics for Prometheus: on a socket of their own (METRICS_BIND), or beside the API for those who know METRICS_TOKEN.

use app::api::ApiError;
use headers::authorization::Bearer;
use headers::{Authorization, HeaderMapExt as _};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};

use super::message::HttpResponse;
use super::respond;
use super::route::Audience;
use super::state::HttpState;
use crate::metrics::MetricsService;

/// Name of the call in the log.
pub(super) const CALL_NAME: &str = "metrics";

/// Answers a question for metrics. Where front-ends are, there are none without a token.
pub(super) async fn answer(state: &HttpState, audience: Audience, parts: &Parts) -> HttpResponse {
    let service = &state.metrics;
    let is_offered = audience == Audience::Metrics || service.has_token();
    if !is_offered || !matches!(parts.method, Method::GET | Method::HEAD) {
        return HttpResponse::failed("-", &ApiError::Unsupported);
    }
    let token = parts.headers.typed_get::<Authorization<Bearer>>();
    if !service.allows(token.as_ref().map(|token| token.token())) {
        let text = "The token of METRICS_TOKEN is needed: Authorization: Bearer TOKEN\n";
        let mut response = respond::text(StatusCode::UNAUTHORIZED, text);
        let challenge = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        let mut refusal = HttpResponse::ok(CALL_NAME, response);
        refusal.result = "wrong token".to_owned();
        return refusal;
    }
    let mut response = respond::text(StatusCode::OK, service.read().await);
    let content_type = HeaderValue::from_static(MetricsService::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    HttpResponse::ok(CALL_NAME, response)
}
