//! Under which address a client sees us, for URLs in answers: what it asked for, and over TLS if the proxy in front
//! says so.

use http::{HeaderMap, header};

/// Scheme and host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    secure: bool,
    host: &'a str,
}

impl<'a> Origin<'a> {
    /// Reads the headers of a request.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // A chain of proxies makes it a list; the first one is what the client used.
        let proto = text("x-forwarded-proto").and_then(|list| list.split(',').next());
        let secure = proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
        Self { secure, host: text(header::HOST.as_str()).unwrap_or_default() }
    }

    /// Whether the client speaks TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, without a port.
    pub(super) fn host(&self) -> &'a str {
        self.host.rsplit_once(':').map_or(self.host, |(host, _)| host)
    }

    /// A path as an absolute URL.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.host)
    }
}
