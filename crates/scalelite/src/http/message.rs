//! A request as handlers receive it, and the response that they return.

use app::api::{ApiError, RequestLog};
use http::{Method, Response};

use super::access_log::RequestSummary;
use super::body::IncomingBody;
use super::forwarded::Client;
use super::respond::{self, ResponseBody};

/// A request, with its query string exactly as it was sent.
pub(super) struct ApiRequest {
    /// Method.
    pub(super) method: Method,
    /// The label of the host that may name a tenant; `None` if the host has no such label.
    pub(super) tenant: Option<String>,
    /// Who sent it.
    pub(super) client: Client,
    /// The requested host, without its port.
    pub(super) host: String,
    /// Raw query string.
    pub(super) query: String,
    /// Headers.
    pub(super) headers: http::HeaderMap,
    /// Body.
    pub(super) body: IncomingBody,
}

/// A response, and what the access log records about it.
pub(super) struct HttpResponse {
    pub(super) response: Response<ResponseBody>,
    /// Name of the call; static, so that clients cannot write text of their own into the log.
    pub(super) call: &'static str,
    pub(super) request_log: RequestLog,
    /// `ok`, or the key of the error.
    pub(super) result: String,
    /// Cause of an internal failure, for administrators; clients do not see it.
    pub(super) detail: Option<String>,
}

impl HttpResponse {
    /// A response whose result is `ok`.
    pub(super) fn ok(call: &'static str, response: Response<ResponseBody>) -> Self {
        let request_log = RequestLog::default();
        Self { response, call, request_log, result: "ok".to_owned(), detail: None }
    }

    /// The response to a failed call of the BBB API.
    pub(super) fn failed(call: &'static str, error: &ApiError) -> Self {
        let detail = match error {
            ApiError::Unanswered(_, cause) => Some(cause.to_string()),
            _ => error.is_internal().then(|| error.to_string()),
        };
        // A BBB server chooses its error keys freely; only an alphanumeric one is logged.
        let is_key = error.key().chars().all(|c| c.is_ascii_alphanumeric());
        let result = if is_key { error.key() } else { "refused by the server" };
        Self {
            response: respond::xml(error.to_xml()),
            call,
            request_log: RequestLog::default(),
            result: result.to_owned(),
            detail,
        }
    }

    /// Result and status, for the access log.
    pub(super) fn summary(&self) -> RequestSummary<'_> {
        RequestSummary {
            result: &self.result,
            status: self.response.status().as_u16(),
            detail: self.detail.as_deref(),
        }
    }

    /// Adds the tenant, meeting and server that the request concerned.
    pub(super) fn with_request_log(self, request_log: RequestLog) -> Self {
        Self { request_log, ..self }
    }
}
