//! Calls the management API of another balancer, for the command line.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;

use crate::https_client::{HttpsClient, RequestLimits};

/// The path of the API.
const API_PATH: &str = "/scalelite/api/v1";
/// Limits of one request: a poll of many servers that hang takes its time, and a page of a list has 500 entries.
const LIMITS: RequestLimits =
    RequestLimits { time: Duration::from_secs(180), response_bytes: 32 << 20 };
const USER_AGENT: &str = concat!("scalelite/", env!("CARGO_PKG_VERSION"));

/// Where the API is, and how it is called.
pub struct ManagementAddress<'a> {
    /// The address of the balancer, or of its API.
    pub url: &'a str,
    /// The token that is presented.
    pub token: &'a str,
    /// A file with certificates of further authorities.
    pub authorities_file: Option<&'a Path>,
    /// Whether the token may be sent without TLS to another machine.
    pub allows_http: bool,
}

/// A client of one balancer's management API.
pub struct ManagementClient {
    client: HttpsClient,
    base: String,
    authorization: HeaderValue,
}

/// An answer of the API.
pub struct ManagementAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Where a redirect leads to.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl ManagementClient {
    /// Creates a client.
    ///
    /// # Errors
    /// When the address or token cannot be used, or the file cannot be read.
    pub fn new(address: &ManagementAddress<'_>) -> Result<Self, String> {
        let base = read_base(address.url, address.allows_http)?;
        let is_visible = |byte: u8| byte.is_ascii_graphic();
        if address.token.is_empty() || !address.token.bytes().all(is_visible) {
            return Err("the token is empty or has characters that no token has".to_owned());
        }
        let authorization = format!("Bearer {}", address.token);
        let mut authorization =
            HeaderValue::try_from(authorization).map_err(|_| "the token cannot be sent")?;
        authorization.set_sensitive(true);
        let client = HttpsClient::new(address.authorities_file)?;
        Ok(Self { client, base, authorization })
    }

    /// The address of the API.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request once. The target is a path below the API, with a query if there is one.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<ManagementAnswer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.base))
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).map_err(|error| error.to_string())?;
        let response = self.client.send(request, LIMITS).await?;
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        Ok(ManagementAnswer { status, location, body: response.into_body() })
    }
}

/// Reads an address: of a balancer, or of its API.
fn read_base(url: &str, allows_http: bool) -> Result<String, String> {
    let bad = || format!("{url} is no address of a balancer such as https://lb.example.com");
    let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| bad())?;
    let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or_else(bad)?;
    if uri.query().is_some() || authority.as_str().contains('@') {
        return Err(bad());
    }
    if *scheme == Scheme::HTTP {
        if !allows_http && !is_loopback(authority.host()) {
            return Err(format!(
                "{url}: without TLS everybody on the way could read the token; use https, or --insecure-http"
            ));
        }
    } else if *scheme != Scheme::HTTPS {
        return Err(bad());
    }
    let path = uri.path().trim_end_matches('/');
    let path = if path.ends_with(API_PATH) { path.to_owned() } else { format!("{path}{API_PATH}") };
    Ok(format!("{scheme}://{authority}{path}"))
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_own = |address: std::net::IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |url| read_base(url, false).ok();
        let api = |base: &str| Some(format!("{base}/scalelite/api/v1"));
        assert_eq!(read("https://lb.example.com"), api("https://lb.example.com"));
        assert_eq!(read("https://lb.example.com:8443/"), api("https://lb.example.com:8443"));
        assert_eq!(read("https://lb.test/scalelite/api/v1/"), api("https://lb.test"));
        assert_eq!(read("https://gate.test/lb1"), api("https://gate.test/lb1"));
        for local in ["http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000"] {
            assert_eq!(read(local), api(local));
        }
        for wrong in [
            "http://lb.example.com",
            "lb.example.com",
            "ftp://lb.example.com",
            "https://a:b@lb.example.com",
            "https://lb.example.com/?x=1",
            "https://",
            "",
            "http://127.0.0.1.example.com",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read_base("http://lb.test", true).ok(), api("http://lb.test"));
    }
}
