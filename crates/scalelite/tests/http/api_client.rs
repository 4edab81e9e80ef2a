//! A client of the management API, version 1.

use serde_json::Value;
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{ClientResponse, Product, Setup};

use crate::tools::send;

/// The path of the API.
pub(crate) const API: &str = "/scalelite/api/v1";

/// Makes a token with these arguments of `tokens create`; returns its secret.
pub(crate) async fn make_token(deployment: &TestDeployment, arguments: &str) -> String {
    make_token_in(deployment.product.setup(), arguments).await
}

/// The same in any setup.
pub(crate) async fn make_token_in(setup: &Setup, arguments: &str) -> String {
    let arguments: Vec<&str> =
        ["tokens", "create"].into_iter().chain(arguments.split(' ')).collect();
    let output = process::run(setup, &arguments).await.unwrap();
    assert_eq!(output.exit_code, 0, "{output:?}");
    output.stdout.trim_end().to_owned()
}

/// A client that presents a token.
pub(crate) struct ApiClient<'a> {
    product: &'a Product,
    authorization: String,
}

impl<'a> ApiClient<'a> {
    pub(crate) fn new(product: &'a Product, token: &str) -> Self {
        Self { product, authorization: format!("Bearer {token}") }
    }

    /// Sends a request with these headers, and a JSON body if there is one.
    pub(crate) async fn send(
        &self,
        request: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> ClientResponse {
        let (method, path) = request.split_once(' ').unwrap();
        let text = body.map(Value::to_string);
        let mut all = vec![("Authorization", self.authorization.as_str())];
        if text.is_some() {
            all.push(("Content-Type", "application/json"));
        }
        all.extend(headers);
        let body = text.as_ref().map(String::as_bytes);
        send(self.product, method, &format!("{API}{path}"), &all, body).await
    }

    /// Sends a request that must have this status; returns the body.
    pub(crate) async fn expect(&self, status: u16, request: &str, body: Option<Value>) -> Value {
        let response = self.send(request, &[], body.as_ref()).await;
        check(request, &response, status)
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.expect(200, &format!("GET {path}"), None).await
    }
}

/// Asserts the status and the shape of a response; returns its body.
pub(crate) fn check(request: &str, response: &ClientResponse, status: u16) -> Value {
    let text = response.text();
    assert_eq!(response.status, status, "{request}: {text}");
    if status == 204 {
        assert_eq!(text, "");
        return Value::Null;
    }
    let kind =
        if status < 400 { "application/json; charset=utf-8" } else { "application/problem+json" };
    assert_eq!(response.header("content-type"), Some(kind), "{request}");
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{request}: {text}"));
    if status >= 400 {
        assert_eq!(value["status"], status, "{text}");
        let kind = value["type"].as_str().unwrap();
        assert!(kind.starts_with("urn:scalelite:problem:"), "{text}");
        assert!(value["title"].is_string() && value["detail"].is_string(), "{text}");
    }
    value
}
