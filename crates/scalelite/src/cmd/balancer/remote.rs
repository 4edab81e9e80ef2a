//! Requests to the management API of another balancer.

use std::path::PathBuf;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::CommandFailure;
use crate::output::printable;
use crate::wiring::remote::{ManagementAddress, ManagementAnswer, ManagementClient};

/// Bytes of a path or query that stand for themselves.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Entries of a page.
const PAGE_SIZE: &str = "500";
/// Most pages of a list.
const MAX_PAGES: usize = 2_000;
/// How the types of problems begin.
const PROBLEM_PREFIX: &str = "urn:scalelite:problem:";
/// Longest text of an answer that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 1_000;

/// How another balancer is reached.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Its address.
    pub url: String,
    /// The token.
    pub token: String,
    /// A file with certificates of further authorities.
    pub authorities_file: Option<PathBuf>,
    /// Whether the token may be sent without TLS.
    pub allows_http: bool,
}

/// Another balancer.
pub struct RemoteBalancer {
    client: ManagementClient,
}

/// Why a request was not answered as wanted.
#[derive(Debug)]
pub struct RemoteError {
    /// The type of the problem; `None` if no API has answered.
    kind: Option<String>,
    detail: String,
}

impl RemoteError {
    /// Whether it is this type of problem.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn unanswered(detail: impl Into<String>) -> Self {
        Self { kind: None, detail: detail.into() }
    }
}

impl From<RemoteError> for CommandFailure {
    fn from(error: RemoteError) -> Self {
        Self(format!("ERROR: {}", printable(&error.detail)))
    }
}

/// A part of a path, encoded.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

impl RemoteBalancer {
    /// Prepares requests; none is sent yet.
    pub fn new(options: &RemoteOptions) -> Result<Self, CommandFailure> {
        let address = ManagementAddress {
            url: &options.url,
            token: &options.token,
            authorities_file: options.authorities_file.as_deref(),
            allows_http: options.allows_http,
        };
        let client = ManagementClient::new(&address);
        let client = client.map_err(|reason| CommandFailure(format!("ERROR: {reason}")))?;
        Ok(Self { client })
    }

    /// Reads something.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, RemoteError> {
        self.read(self.request(Method::GET, &target(path, query), None).await?)
    }

    /// Makes a change whose answer is read.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, RemoteError> {
        self.read(self.request(Method::POST, path, Some(body)).await?)
    }

    /// Makes a change.
    pub async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RemoteError> {
        self.request(method, path, body).await
    }

    /// Removes something.
    pub async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<(), RemoteError> {
        self.request(Method::DELETE, &target(path, query), None).await.map(drop)
    }

    /// Reads a whole list, page by page.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, RemoteError> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut query = query.to_vec();
            query.push(("limit", PAGE_SIZE));
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.request(Method::GET, &target(path, &query), None).await?;
            let Some(items) = page.get("items").and_then(Value::as_array) else {
                return Err(self.not_understood());
            };
            for item in items {
                found.push(self.read(item.clone())?);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(found);
            }
        }
        Err(RemoteError::unanswered("the list does not end"))
    }

    /// Reads a whole list that has no pages.
    pub async fn list_all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, RemoteError> {
        let list = self.request(Method::GET, path, None).await?;
        let items = list.get("items").and_then(Value::as_array);
        let items = items.ok_or_else(|| self.not_understood())?;
        items.iter().map(|item| self.read(item.clone())).collect()
    }

    /// Reads an answer.
    pub fn read_value<T: DeserializeOwned>(&self, answer: Value) -> Result<T, RemoteError> {
        self.read(answer)
    }

    fn read<T: DeserializeOwned>(&self, answer: Value) -> Result<T, RemoteError> {
        serde_json::from_value(answer).map_err(|_| self.not_understood())
    }

    fn not_understood(&self) -> RemoteError {
        let base = self.client.base();
        RemoteError::unanswered(format!(
            "{base} answers what this version does not understand; are both programs of the same version?"
        ))
    }

    async fn request(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
    ) -> Result<Value, RemoteError> {
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.client.send(method, target, body).await;
        let base = self.client.base();
        let answer =
            answer.map_err(|reason| RemoteError::unanswered(format!("{base}: {reason}")))?;
        let value: Option<Value> = match answer.body.is_empty() {
            true => Some(Value::Null),
            false => serde_json::from_slice(&answer.body).ok(),
        };
        match value {
            Some(value) if (200..300).contains(&answer.status) => Ok(value),
            Some(value) if is_problem(&value) => Err(to_error(&value)),
            _ => Err(RemoteError::unanswered(describe_foreign(base, &answer))),
        }
    }
}

/// A path with a query.
fn target(path: &str, query: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        query.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

fn is_problem(value: &Value) -> bool {
    value["type"].as_str().is_some_and(|kind| kind.starts_with(PROBLEM_PREFIX))
}

fn to_error(problem: &Value) -> RemoteError {
    let text = |name: &str| problem[name].as_str().unwrap_or_default();
    let kind = text("type").strip_prefix(PROBLEM_PREFIX).unwrap_or_default();
    let detail = match text("detail") {
        "" => text("title"),
        detail => detail,
    };
    let detail = detail.chars().take(MAX_SHOWN_CHARS).collect();
    RemoteError { kind: Some(kind.to_owned()), detail }
}

/// What answers there, if it is no management API.
fn describe_foreign(base: &str, answer: &ManagementAnswer) -> String {
    let status = answer.status;
    match &answer.location {
        Some(location) if (300..400).contains(&status) => {
            format!("{base} leads to {location}: name that address itself")
        }
        _ => {
            format!("{base} is no management API of this program: it answers with status {status}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_and_queries_are_encoded() {
        assert_eq!(target("/meetings", &[]), "/meetings");
        let query = [("id", "a b&c=ä"), ("limit", "5")];
        assert_eq!(target("/meetings", &query), "/meetings?id=a%20b%26c%3D%C3%A4&limit=5");
        assert_eq!(segment("../x?y#z"), "..%2Fx%3Fy%23z");
    }

    #[test]
    fn problems_become_messages() {
        let problem =
            json!({ "type": "urn:scalelite:problem:occupied", "title": "t", "detail": "d\n" });
        let error = to_error(&problem);
        assert!(error.is("occupied") && !error.is("exists"));
        assert_eq!(CommandFailure::from(error).0, "ERROR: d\u{fffd}");
        assert!(!is_problem(&json!({ "type": "about:blank" })) && !is_problem(&json!([])));
    }
}
