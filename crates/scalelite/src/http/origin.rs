//! The scheme and host under which a client reached this server, for URLs in responses.

use http::{HeaderMap, header};

use super::host;

/// Scheme and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    secure: bool,
    host: &'a str,
    base: String,
}

impl<'a> Origin<'a> {
    /// Reads the headers of a request. `secure` says whether its client uses TLS.
    pub(super) fn from_headers(headers: &'a HeaderMap, secure: bool) -> Self {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let host = host.unwrap_or_default();
        Self { secure, host, base: host::request_origin(headers, secure, host) }
    }

    /// Returns whether the client uses TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the host, without a port.
    pub(super) fn host(&self) -> &'a str {
        self.host.rsplit_once(':').map_or(self.host, |(host, _)| host)
    }

    /// Returns a path as an absolute URL.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
