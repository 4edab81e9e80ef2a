//! The host that a request names: whether it is served here, which tenant it belongs to, and whether it is that of recordings.

use http::request::Parts;
use http::{HeaderMap, header};

use super::message::ApiRequest;

/// Longest name of a host that is shown, in bytes.
const MAX_SHOWN_HOST: usize = 255;

/// The hosts that are served.
#[derive(Clone, Debug, Default)]
pub struct HostRules {
    /// `URL_HOST`, without a port; `None` serves every host.
    pub url_host: Option<String>,
    /// `PLAYBACK_HOST`: its name, and with the port.
    pub playback: Option<(String, String)>,
    /// Whether subdomains are tenants'.
    pub multitenancy: bool,
}

/// A host that is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServedHost {
    /// The label that may name a tenant; `None` if the host has no such label.
    pub(super) tenant: Option<String>,
    /// Whether recordings are served here, and nothing else.
    pub(super) is_playback: bool,
}

impl HostRules {
    /// Returns what a host serves; `None` if it is not served.
    pub(super) fn find(&self, host: &str) -> Option<ServedHost> {
        let (url_host, playback_host) = (self.url_host.as_deref(), self.playback_host());
        let is_host = |base: Option<&str>| base.is_some_and(|base| host.eq_ignore_ascii_case(base));
        let is_below =
            |base: Option<&str>| base.is_some_and(|base| is_served(host, base, self.multitenancy));
        // One of the two may be a subdomain of the other.
        let is_longer = playback_host.map(str::len) > url_host.map(str::len);
        let is_playback = is_host(playback_host)
            || is_below(playback_host) && !is_host(url_host) && (is_longer || !is_below(url_host));
        let base = if is_playback { playback_host } else { url_host };
        let is_found = is_playback || url_host.is_none() || is_below(url_host);
        is_found.then(|| ServedHost {
            tenant: tenant_label(host, base).map(str::to_owned),
            is_playback,
        })
    }

    /// Returns the host of the API, without a port; `None` if every host is.
    pub(super) fn url_host(&self) -> Option<&str> {
        self.url_host.as_deref()
    }

    fn playback_host(&self) -> Option<&str> {
        self.playback.as_ref().map(|(host, _)| host.as_str())
    }

    /// Returns scheme and host at which the caller of a request finds its recordings, if that is not the host of the request.
    pub(super) fn playback_origin(&self, request: &ApiRequest) -> Option<String> {
        let (_, authority) = self.playback.as_ref()?;
        let scheme = scheme(request.client.is_https);
        let tenant = request.tenant.as_deref().filter(|_| self.multitenancy);
        let label = tenant.map(|tenant| format!("{tenant}.")).unwrap_or_default();
        Some(format!("{scheme}://{label}{authority}"))
    }
}

/// Returns the host that a request names, without its port. If its target names one, `Host` is that one.
pub(super) fn requested_host(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = header.unwrap_or("");
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Returns scheme and host, port included, as the client sees them. `default_host` is used if there is no `Host` header.
pub(super) fn request_origin(headers: &HeaderMap, is_https: bool, default_host: &str) -> String {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    format!("{}://{}", scheme(is_https), host.unwrap_or(default_host))
}

fn scheme(is_https: bool) -> &'static str {
    if is_https { "https" } else { "http" }
}

/// Returns a host that is not served as it may be shown: clients choose it freely.
pub(super) fn shown_host(host: &str) -> &str {
    let is_host =
        |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
    match host {
        "" => "(none)",
        _ if host.len() <= MAX_SHOWN_HOST && is_host(host) => host,
        _ => "(not a host name)",
    }
}

/// Returns whether a host is `url_host` or, with multitenancy, one of its subdomains.
fn is_served(host: &str, url_host: &str, multitenancy: bool) -> bool {
    host.eq_ignore_ascii_case(url_host) || multitenancy && labels_before(host, url_host).is_some()
}

/// Returns the label that names a tenant: the first label of the host, unless it belongs to
/// `url_host` itself.
fn tenant_label<'a>(host: &'a str, url_host: Option<&str>) -> Option<&'a str> {
    let labels = url_host.map_or(Some(host), |url_host| labels_before(host, url_host))?;
    labels.split('.').next().filter(|label| !label.is_empty())
}

/// Returns what precedes `.<url_host>` in a host.
fn labels_before<'a>(host: &'a str, url_host: &str) -> Option<&'a str> {
    let dot = host.len().checked_sub(url_host.len() + 1)?;
    let (labels, rest) = host.split_at_checked(dot)?;
    rest.strip_prefix('.').filter(|rest| rest.eq_ignore_ascii_case(url_host)).map(|_| labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_host_is_served_and_with_tenants_its_subdomains() {
        for (host, without_tenants, with_tenants) in [
            ("lb.test", true, true),
            ("LB.Test", true, true),
            ("acme.lb.test", false, true),
            ("a.b.LB.test", false, true),
            ("acmelb.test", false, false),
            ("lb.test.evil.test", false, false),
            ("ü.test", false, false),
            ("test", false, false),
            ("", false, false),
        ] {
            let served = [is_served(host, "lb.test", false), is_served(host, "lb.test", true)];
            assert_eq!(served, [without_tenants, with_tenants], "{host}");
        }
    }

    #[test]
    fn recordings_have_a_host_of_their_own() {
        let hosts = |url_host: &str, playback: &str| HostRules {
            url_host: (!url_host.is_empty()).then(|| url_host.to_owned()),
            playback: Some((playback.to_owned(), playback.to_owned())),
            multitenancy: true,
        };
        for (url_host, playback, host, expected) in [
            ("lb.test", "play.lb.test", "lb.test", Some((None, false))),
            ("lb.test", "play.lb.test", "PLAY.lb.test", Some((None, true))),
            ("lb.test", "play.lb.test", "acme.play.lb.test", Some((Some("acme"), true))),
            ("lb.test", "play.lb.test", "acme.lb.test", Some((Some("acme"), false))),
            ("api.lb.test", "lb.test", "api.lb.test", Some((None, false))),
            ("api.lb.test", "lb.test", "acme.api.lb.test", Some((Some("acme"), false))),
            ("api.lb.test", "lb.test", "acme.lb.test", Some((Some("acme"), true))),
            ("lb.test", "play.test", "evil.test", None),
            ("", "play.test", "acme.any.test", Some((Some("acme"), false))),
            ("", "play.test", "play.test", Some((None, true))),
        ] {
            let found = hosts(url_host, playback).find(host);
            let found = found.as_ref().map(|found| (found.tenant.as_deref(), found.is_playback));
            assert_eq!(found, expected, "{url_host} {playback} {host}");
        }
    }

    #[test]
    fn an_origin_has_the_scheme_and_host_of_the_request() {
        let mut headers = HeaderMap::new();
        assert_eq!(request_origin(&headers, true, "default.test"), "https://default.test");
        headers.insert(header::HOST, http::HeaderValue::from_static("lb.test:8080"));
        assert_eq!(request_origin(&headers, false, "default.test"), "http://lb.test:8080");
    }

    #[test]
    fn a_foreign_host_is_shown_if_it_is_one() {
        assert_eq!(shown_host("10.0.0.1"), "10.0.0.1");
        assert_eq!(shown_host(""), "(none)");
        for odd in ["<b>", "a b", &"h".repeat(256)] {
            assert_eq!(shown_host(odd), "(not a host name)");
        }
    }

    #[test]
    fn the_first_label_names_the_tenant() {
        let label = |host| tenant_label(host, Some("lb.test"));
        assert_eq!(label("Acme.lb.test"), Some("Acme"));
        assert_eq!(label("a.b.lb.test"), Some("a"));
        assert_eq!((label("lb.test"), label(".lb.test"), label("")), (None, None, None));
        assert_eq!(tenant_label("acme.anywhere.test", None), Some("acme"));
        assert_eq!(tenant_label("", None), None);
    }
}
