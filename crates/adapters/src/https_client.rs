//! A client for the few requests that go to other services than BBB servers and front-ends: the management API of another balancer. Requests
//! are limited in time and size, redirects are not followed, and certificates are checked.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::timeout;

use crate::acme::read_roots;

/// Longest time for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Longest time until the whole response is there.
    pub time: Duration,
    /// Longest body of the response, in bytes.
    pub response_bytes: usize,
}

/// The client.
#[derive(Clone)]
pub struct HttpsClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpsClient {
    /// A client that trusts the authorities of the machine, and those in a file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn new(authorities_file: Option<&Path>) -> Result<Self, String> {
        let config = match authorities_file {
            None => ClientConfig::builder()
                .with_native_roots()
                .unwrap_or_else(|_| ClientConfig::builder().with_webpki_roots()),
            Some(path) => ClientConfig::builder().with_root_certificates(read_roots(path)?),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { client })
    }

    /// Sends a request, and reads the whole response.
    ///
    /// # Errors
    /// When there is no whole response within the limits.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        limits: RequestLimits,
    ) -> Result<Response<Bytes>, String> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| root_cause(&e))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limits.response_bytes).collect().await;
            let body = body.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let silent = || Err(format!("no answer within {} seconds", limits.time.as_secs()));
        timeout(limits.time, exchange).await.unwrap_or_else(|_| silent())
    }
}

/// The text of the innermost error. The outer ones only say that sending a request failed.
fn root_cause(error: &hyper_util::client::legacy::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.source() {
        Some(_) => innermost.to_string(),
        None => error.to_string(),
    }
}
