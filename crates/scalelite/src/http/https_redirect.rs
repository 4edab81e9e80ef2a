//! What clients are told about HTTPS: to come back by it (a redirect), and to use nothing else (HSTS).

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::forwarded::Client;
use super::host;
use super::message::HttpResponse;
use super::respond;

/// What is said to clients about HTTPS.
#[derive(Clone, Debug, Default)]
pub struct HttpsRules {
    /// The port to which requests without TLS are redirected; `None` if they are answered.
    pub redirect_port: Option<u16>,
    /// `Strict-Transport-Security` of responses over TLS; `None` if there is none.
    pub strict_transport: Option<HeaderValue>,
}

impl HttpsRules {
    /// Returns the value of `Strict-Transport-Security` that holds for so many seconds; `None` for 0.
    pub fn strict_transport(max_age_s: u32) -> Option<HeaderValue> {
        let text = format!("max-age={max_age_s}");
        HeaderValue::from_str(&text).ok().filter(|_| max_age_s > 0)
    }

    /// Returns the redirect of a request without TLS, if such requests are redirected.
    pub(super) fn redirect(&self, client: Client, parts: &Parts) -> Option<HttpResponse> {
        let port = self.redirect_port.filter(|_| !client.is_https)?;
        let host = host::requested_host(parts);
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let authority = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
        // A form that is sent again must not become a GET.
        let status = match parts.method {
            Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::PERMANENT_REDIRECT,
        };
        let response =
            respond::redirect_with_status(status, &format!("https://{authority}{target}"))?;
        let mut moved = HttpResponse::ok("-", response);
        moved.result = "redirected to https".to_owned();
        Some(moved)
    }

    /// Adds to a response what holds for clients that use TLS.
    pub(super) fn mark(&self, client: Client, headers: &mut HeaderMap) {
        if let Some(value) = self.strict_transport.as_ref().filter(|_| client.is_https) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn requests_without_tls_are_redirected_with_their_bytes() {
        let location = |port, method: Method, is_https| {
            let rules = HttpsRules { redirect_port: Some(port), strict_transport: None };
            let request = Request::builder()
                .method(method)
                .uri("/a/b?c=%2F+d")
                .header("host", "lb.test:3000");
            let parts = request.body(()).unwrap().into_parts().0;
            let moved = rules.redirect(Client { address: None, is_https }, &parts)?;
            let location = moved.response.headers()[header::LOCATION].to_str().unwrap().to_owned();
            Some((moved.response.status().as_u16(), location))
        };
        assert_eq!(
            location(443, Method::GET, false),
            Some((301, "https://lb.test/a/b?c=%2F+d".into()))
        );
        assert_eq!(
            location(3443, Method::POST, false),
            Some((308, "https://lb.test:3443/a/b?c=%2F+d".into()))
        );
        assert_eq!(location(443, Method::GET, true), None);
    }
}
