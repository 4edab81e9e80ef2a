//! Types of settings that are secrets, or addresses, which may contain secrets.

use std::fmt;
use std::path::PathBuf;

use super::values::{OriginalReading, SettingValue};

/// A secret; it is not shown in any output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl SettingValue for Secret {
    const ACCEPTS: &'static str = "a secret without leading or trailing whitespace";
    const SECRET: bool = true;

    fn read(text: &str) -> Option<Self> {
        (text.trim() == text).then(|| Self(text.to_owned()))
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        OriginalReading::Value(Self(text.to_owned()), text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The URL of a store, which may contain a password. `super::stores` parses it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(pub String);

impl SettingValue for StoreUrl {
    const ACCEPTS: &'static str = "a URL";
    const SECRET: bool = true;

    fn read(text: &str) -> Option<Self> {
        Some(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// A host (`None` for all addresses) and a port (`None` for that of `PORT`).
    Tcp(Option<String>, Option<u16>),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl SettingValue for BindAddress {
    const ACCEPTS: &'static str = "tcp://host:port, unix:///path, [::1] or host:port";

    fn read(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = path.split('?').next().unwrap_or_default();
            return (path.len() > 1 && path.starts_with('/')).then(|| Self::Unix(path.into()));
        }
        let rest = text.strip_prefix("tcp://").unwrap_or(text);
        if rest.contains("://") {
            return None;
        }
        let rest = rest.split(['?', '/']).next().unwrap_or_default();
        let (host, port) = match rest.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']')?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, port),
                None => (rest, ""),
            },
        };
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        let is_host_char = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
        if host.is_empty() && port.is_none() || !host.chars().all(is_host_char) {
            return None;
        }
        Some(Self::Tcp((!host.is_empty()).then(|| host.to_owned()), port))
    }

    fn read_as_original(_text: &str) -> OriginalReading<Self> {
        // An address with TLS, for example, must not be served without it.
        OriginalReading::Refused
    }
}

/// The host under which front-ends reach the balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHost {
    host: String,
    /// The port, unless it is that of HTTPS.
    port: Option<u16>,
}

impl PublicHost {
    /// The host without the port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; `None` for that of HTTPS.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host, with the port if it is not that of HTTPS.
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }
}

impl SettingValue for PublicHost {
    const ACCEPTS: &'static str = "a host name, with or without a port";

    fn read(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        let name = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host_char =
            |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c) || name.is_some() && c == ':';
        let is_valid = !host.is_empty() && name.unwrap_or(host).chars().all(is_host_char);
        let port = port.filter(|port| *port != 443);
        is_valid.then(|| Self { host: host.to_owned(), port })
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let is_http = scheme.eq_ignore_ascii_case("http");
        let authority = authority.strip_suffix(":80").filter(|_| is_http).unwrap_or(authority);
        match Self::read(authority) {
            Some(host) => {
                let used = host.authority();
                OriginalReading::Value(host, used)
            }
            None => OriginalReading::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_addresses_are_parsed() {
        let tcp = |host: &str, port| Some(BindAddress::Tcp(Some(host.to_owned()), port));
        assert_eq!(BindAddress::read("tcp://0.0.0.0:3000"), tcp("0.0.0.0", Some(3000)));
        assert_eq!(BindAddress::read("tcp://[::1]:80"), tcp("::1", Some(80)));
        assert_eq!(BindAddress::read("[::1]"), tcp("::1", None));
        assert_eq!(BindAddress::read("localhost"), tcp("localhost", None));
        assert_eq!(BindAddress::read("tcp://:8080"), Some(BindAddress::Tcp(None, Some(8080))));
        assert_eq!(
            BindAddress::read("unix:///run/s.sock"),
            Some(BindAddress::Unix("/run/s.sock".into()))
        );
        for invalid in
            ["", "tcp://", "unix://", "unix://relative", "tcp://h:port", "ssl://h:1", "a b", "[::1"]
        {
            assert_eq!(BindAddress::read(invalid), None, "{invalid}");
        }
    }
}
