//! Why a request is refused, as problem+json (RFC 9457).

use app::api::ApiError;
use app::origin;
use app::ports::StoreError;
use domain::management::Scope;
use http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::respond::{self, ResponseBody};

/// Content type of these answers.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Most faults of a request that are named.
const MAX_FAULTS: usize = 20;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    faults: Vec<InputFault>,
    scope: Option<Scope>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// A fault of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct InputFault {
    /// Which part of the request has it: body, query, path or header.
    #[serde(rename = "in")]
    pub(super) part: &'static str,
    /// The place, as a JSON pointer (RFC 6901); in a query or path, the name of the parameter follows the slash.
    pub(super) pointer: String,
    /// What is wrong there.
    pub(super) detail: String,
}

/// A refusal as clients read it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemView {
    /// What kind of problem it is: `urn:scalelite:problem:` and a name that does not change.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened, for people.
    detail: String,
    /// The id of the request, by which the log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The scope that the token lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// The faults of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<InputFault>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (faults, headers) = (Vec::new(), Vec::new());
        Self { status, kind, title, detail: detail.into(), faults, scope: None, headers }
    }

    fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// No token, or one that is not valid.
    pub(super) fn unauthorized(has_token: bool, detail: &str) -> Self {
        let challenge = match has_token {
            true => r#"Bearer realm="scalelite", error="invalid_token""#,
            false => r#"Bearer realm="scalelite""#,
        };
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid token is needed", detail)
            .with_header(header::WWW_AUTHENTICATE, challenge)
    }

    /// The token does not allow this.
    pub(super) fn missing_scope(scope: Scope) -> Self {
        let detail = format!("this token lacks the scope {scope}");
        let title = "The token does not allow this";
        let problem = Self::new(StatusCode::FORBIDDEN, "insufficient-scope", title, detail);
        let challenge =
            format!(r#"Bearer realm="scalelite", error="insufficient_scope", scope="{scope}""#);
        Self { scope: Some(scope), ..problem }.with_header(header::WWW_AUTHENTICATE, &challenge)
    }

    /// The token is limited to a tenant, and this concerns all.
    pub(super) fn only_for_all_tenants() -> Self {
        let detail = "this token is limited to a tenant, and this concerns all tenants";
        let title = "The token is limited to a tenant";
        Self::new(StatusCode::FORBIDDEN, "limited-to-tenant", title, detail)
    }

    /// There is no such thing, or the token may not know of it.
    pub(super) fn not_found(what: &str) -> Self {
        let detail = format!("there is no such {what}");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// The path exists, for other methods.
    pub(super) fn method_not_allowed(allowed: &str) -> Self {
        let detail = format!("here only {allowed} is allowed");
        let title = "Method not allowed";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", title, detail)
            .with_header(header::ALLOW, allowed)
    }

    /// The request cannot be read, or names what does not exist.
    pub(super) fn bad_request(faults: Vec<InputFault>) -> Self {
        Self::faulty(StatusCode::BAD_REQUEST, "bad-request", "The request cannot be read", faults)
    }

    /// The body is JSON, but not what is wanted here.
    pub(super) fn invalid_body(faults: Vec<InputFault>) -> Self {
        let title = "The body has faults";
        Self::faulty(StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", title, faults)
    }

    /// A value in the body is not acceptable.
    pub(super) fn invalid_value(pointer: &str, detail: impl ToString) -> Self {
        let detail = detail.to_string();
        Self::invalid_body(vec![InputFault { part: "body", pointer: pointer.to_owned(), detail }])
    }

    /// A parameter of the query is not acceptable.
    pub(super) fn invalid_parameter(name: &str, detail: &str) -> Self {
        let (pointer, detail) = (format!("/{name}"), detail.to_owned());
        Self::bad_request(vec![InputFault { part: "query", pointer, detail }])
    }

    fn faulty(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        mut faults: Vec<InputFault>,
    ) -> Self {
        faults.truncate(MAX_FAULTS);
        let texts: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
        Self { faults, ..Self::new(status, kind, title, texts.join("; ")) }
    }

    /// The body has another content type.
    pub(super) fn unsupported_media_type() -> Self {
        let title = "The body must be JSON";
        let detail = "Content-Type must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail)
    }

    /// What is there contradicts the request.
    pub(super) fn conflict(kind: &'static str, detail: impl ToString) -> Self {
        let title = "This is not possible now";
        Self::new(StatusCode::CONFLICT, kind, title, detail.to_string())
    }

    /// It was changed since the client has read it.
    pub(super) fn precondition_failed() -> Self {
        let title = "It was changed meanwhile";
        let detail = "If-Match names another version; read it again";
        Self::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", title, detail)
    }

    /// Something that the balancer needs fails.
    pub(super) fn unavailable(detail: impl ToString) -> Self {
        let title = "This cannot be done at the moment";
        let detail = detail.to_string();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title, detail)
            .with_header(header::RETRY_AFTER, "5")
    }

    /// The result for the access log.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// The cause for the access log, if it is a failure of ours.
    pub(super) fn failure(&self) -> Option<String> {
        self.status.is_server_error().then(|| self.detail.clone())
    }

    pub(super) fn into_response(self) -> Response<ResponseBody> {
        let view = ProblemView {
            kind: format!("urn:scalelite:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            request_id: origin::request_id().map(|id| id.as_ref().to_owned()),
            scope: self.scope.map(|scope| scope.name().to_owned()),
            errors: self.faults,
        };
        let value = serde_json::to_value(view).unwrap_or_default();
        let mut response = respond::json(self.status, &value);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        headers.extend(self.headers);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
                "a body may have 64 KiB, of /apply 4 MiB",
            ),
            ApiError::Busy => Self::unavailable("too busy, try again"),
            ApiError::NotFound => Self::not_found("meeting"),
            ApiError::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The balancer has a fault",
                "the log tells more",
            ),
            ApiError::Unanswered(_, cause) => Self::bad_gateway(&cause),
            ApiError::Store(error) => error.into(),
            other => Self::bad_gateway(&other),
        }
    }
}

impl Problem {
    /// A BBB server does not do what it should.
    pub(super) fn bad_gateway(cause: &impl ToString) -> Self {
        let title = "A BBB server does not answer as it should";
        Self::new(StatusCode::BAD_GATEWAY, "server-failed", title, cause.to_string())
    }
}
