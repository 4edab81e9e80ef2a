//! What the API consists of: endpoints, each with its path, the scope that it needs, the schemas of what it reads and answers, and the
//! function that does the work. Requests are dispatched by this table, and the documentation is written from it.

use std::future::Future;
use std::sync::Arc;

use app::App;
use app::token_authentication::TokenHolder;
use domain::management::Scope;
use futures_util::future::{BoxFuture, FutureExt as _};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::input::Input;
use super::problem::Problem;
use crate::http::state::HttpState;

/// Longest body of most endpoints, in bytes.
const MAX_BODY_BYTES: u64 = 64 << 10;

/// An answer of a handler.
pub(super) struct Reply<R> {
    body: R,
    etag: Option<String>,
}

impl<R> From<R> for Reply<R> {
    fn from(body: R) -> Self {
        Self { body, etag: None }
    }
}

impl<R> Reply<R> {
    /// With the tag of the version that the answer shows.
    pub(super) fn tagged(body: R, etag: String) -> Self {
        Self { body, etag: Some(etag) }
    }
}

/// No content.
pub(super) struct NoContent;

/// What can be the body of an answer.
pub(super) trait Content {
    /// Its schema; `None` if there is no body.
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema>;
    /// The body.
    fn into_value(self) -> Option<Value>;
}

impl Content for NoContent {
    fn schema(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn into_value(self) -> Option<Value> {
        None
    }
}

impl<T: Serialize + JsonSchema> Content for T {
    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }

    fn into_value(self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }
}

/// An answer as it is sent, or remembered for a request that is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) etag: Option<String>,
}

/// A request that may be made.
pub(super) struct Call {
    pub(super) state: Arc<HttpState>,
    pub(super) holder: Arc<TokenHolder>,
    /// The parts of the path that vary, in order.
    pub(super) path: Vec<String>,
    /// `If-Match`.
    pub(super) if_match: Option<String>,
}

impl Call {
    pub(super) fn app(&self) -> &App {
        &self.state.app
    }

    /// A part of the path that varies.
    pub(super) fn part(&self, index: usize) -> &str {
        self.path.get(index).map(String::as_str).unwrap_or_default()
    }

    /// The tenant that the token is limited to.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.holder.tenant.as_deref()
    }

    /// Refuses tokens that are limited to a tenant.
    pub(super) fn require_all_tenants(&self) -> Result<(), Problem> {
        if self.tenant().is_some() { Err(Problem::only_for_all_tenants()) } else { Ok(()) }
    }

    /// Checks that the version there is one that the client names, if it names any.
    pub(super) fn check_version(&self, etag: &str) -> Result<(), Problem> {
        let Some(wanted) = &self.if_match else { return Ok(()) };
        let names_it = |tag: &str| tag == "*" || tag == etag;
        match wanted.split(',').map(str::trim).any(names_it) {
            true => Ok(()),
            false => Err(Problem::precondition_failed()),
        }
    }
}

/// The tag of a version, made of what can be changed.
pub(super) fn etag(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("\"{}\"", digest.get(..32).unwrap_or_default())
}

type Handling = BoxFuture<'static, Result<Answer, Problem>>;
type Handler = Box<dyn Fn(Call, Value, Value) -> Result<Handling, Problem> + Send + Sync>;

/// An endpoint.
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// The path below the API, e.g. `/servers/{id}`.
    pub(super) path: &'static str,
    /// The name of the operation, also in the access log.
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    /// The scope that a token needs; `None`: any token will do.
    pub(super) scope: Option<Scope>,
    pub(super) query: Input,
    pub(super) body: Input,
    pub(super) status: StatusCode,
    /// Longest body, in bytes.
    pub(super) max_body_bytes: u64,
    /// Whether changes can be made conditional by `If-Match`, and answers have an `ETag`.
    pub(super) is_versioned: bool,
    pub(super) schema: fn(&mut SchemaGenerator) -> Option<Schema>,
    handler: Handler,
}

impl Endpoint {
    /// An endpoint whose query is read as `Q`, whose body as `B`, and that answers with `R`.
    pub(super) fn new<Q, B, R, F>(
        (method, path): (Method, &'static str),
        (name, summary): (&'static str, &'static str),
        scope: impl Into<Option<Scope>>,
        handler: fn(Call, Q, B) -> F,
    ) -> Self
    where
        Q: DeserializeOwned + JsonSchema + 'static,
        B: DeserializeOwned + JsonSchema + 'static,
        R: Content,
        F: Future<Output = Result<Reply<R>, Problem>> + Send + 'static,
    {
        let status = StatusCode::OK;
        let handler = move |call: Call, query: Value, body: Value| {
            let query = serde_json::from_value(query)
                .map_err(|_| Problem::invalid_parameter("", "the query cannot be read"))?;
            let body = serde_json::from_value(body)
                .map_err(|error| Problem::invalid_value("", describe_error(&error)))?;
            let handling = handler(call, query, body);
            let handling = async move {
                let Reply { body, etag } = handling.await?;
                Ok(Answer { status: status.as_u16(), body: body.into_value(), etag })
            };
            Ok(handling.boxed())
        };
        Self {
            method,
            path,
            name,
            summary,
            scope: scope.into(),
            query: Input::of::<Q>(),
            body: Input::of::<B>(),
            status,
            max_body_bytes: MAX_BODY_BYTES,
            is_versioned: false,
            schema: R::schema,
            handler: Box::new(handler),
        }
    }

    /// Success has this status.
    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// Its bodies may have so many bytes.
    pub(super) fn with_body_limit(self, max_body_bytes: u64) -> Self {
        Self { max_body_bytes, ..self }
    }

    /// What it shows has a version, and changes can be conditional.
    pub(super) fn versioned(self) -> Self {
        Self { is_versioned: true, ..self }
    }

    /// Whether it changes something.
    pub(super) fn is_change(&self) -> bool {
        self.method != Method::GET
    }

    /// The parts of a path that vary, if it is this endpoint's.
    pub(super) fn match_path(&self, segments: &[String]) -> Option<Vec<String>> {
        let pattern: Vec<&str> = self.path.split('/').skip(1).collect();
        if pattern.len() != segments.len() {
            return None;
        }
        let mut parts = Vec::new();
        for (wanted, found) in pattern.iter().zip(segments) {
            if wanted.starts_with('{') {
                parts.push(found.clone());
            } else if wanted != found {
                return None;
            }
        }
        Some(parts)
    }

    /// Does the work.
    pub(super) async fn handle(
        &self,
        call: Call,
        query: Value,
        body: Value,
    ) -> Result<Answer, Problem> {
        let mut answer = (self.handler)(call, query, body)?.await?;
        answer.status = self.status.as_u16();
        Ok(answer)
    }
}

/// Why a value cannot be read although it meets the schema, without the value itself.
fn describe_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().and_then(|text| text.split(':').next()).unwrap_or("").to_owned()
}
