//! The host that a request names: whether it is served here, and which tenant it belongs to.

use http::request::Parts;
use http::{HeaderMap, header};

/// Returns the host that a request names, without its port.
pub(super) fn requested_host(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let authority = authority.or(header).unwrap_or("");
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Returns scheme and host, port included, as the client sees them. A proxy in front passes them on
/// in headers; `default_host` is used if there is no `Host` header.
pub(super) fn request_origin(headers: &HeaderMap, default_host: &str) -> String {
    let scheme = if is_https(headers) { "https" } else { "http" };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    format!("{scheme}://{}", host.unwrap_or(default_host))
}

/// Returns whether the client uses TLS, as told by a proxy in front. Takes the first value of
/// `X-Forwarded-Proto`, `X-Forwarded-Scheme` and `X-Forwarded-Ssl`.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    let first_value = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok())?;
        value.split(',').next().map(str::trim)
    };
    let scheme = first_value("x-forwarded-proto").or_else(|| first_value("x-forwarded-scheme"));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
        || first_value("x-forwarded-ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case("on"))
}

/// Returns whether a host is `url_host` or, with multitenancy, one of its subdomains.
pub(super) fn is_served(host: &str, url_host: &str, multitenancy: bool) -> bool {
    host.eq_ignore_ascii_case(url_host) || multitenancy && labels_before(host, url_host).is_some()
}

/// Returns the label that names a tenant: the first label of the host, unless it belongs to
/// `url_host` itself.
pub(super) fn tenant_label<'a>(host: &'a str, url_host: Option<&str>) -> Option<&'a str> {
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
    fn an_origin_has_the_scheme_and_host_of_the_request() {
        let origin = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            request_origin(&pairs.collect(), "default.test")
        };
        assert_eq!(origin(&[]), "http://default.test");
        assert_eq!(origin(&[("host", "lb.test:8080")]), "http://lb.test:8080");
        let behind_proxies = [("host", "lb.test"), ("x-forwarded-proto", "https, http")];
        assert_eq!(origin(&behind_proxies), "https://lb.test");
        assert_eq!(origin(&[("x-forwarded-ssl", "on")]), "https://default.test");
        assert_eq!(origin(&[("x-forwarded-proto", "javascript")]), "http://default.test");
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
