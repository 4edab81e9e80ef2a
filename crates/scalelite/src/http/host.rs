//! The host that a request asks for: whether we are it, and which tenant it names.

use http::request::Parts;
use http::{HeaderMap, header};

/// The host that a request asks for, without its port.
pub(super) fn requested_host(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let asked = parts.uri.authority().map(http::uri::Authority::as_str).or(header).unwrap_or("");
    match asked.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => asked,
    }
}

/// Scheme and host, port included, that links to us begin with: those of the request, as the proxy in front of us tells
/// them.
pub(super) fn request_origin(headers: &HeaderMap, asked: &str) -> String {
    let scheme = if is_https(headers) { "https" } else { "http" };
    let whole = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or(asked);
    format!("{scheme}://{whole}")
}

/// Whether a client speaks TLS, as far as a proxy in front says so.
pub(super) fn is_https(headers: &HeaderMap) -> bool {
    let first = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok())?;
        value.split(',').next().map(str::trim)
    };
    let forwarded = first("x-forwarded-proto").or_else(|| first("x-forwarded-scheme"));
    forwarded.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
        || first("x-forwarded-ssl").is_some_and(|on| on.eq_ignore_ascii_case("on"))
}

/// Whether a host is our own, or, with tenants, one of its subdomains.
pub(super) fn is_served(asked: &str, own: &str, with_tenants: bool) -> bool {
    asked.eq_ignore_ascii_case(own) || with_tenants && labels_before(asked, own).is_some()
}

/// The label that names a tenant: the first one, but none of our own host's.
pub(super) fn tenant_label<'a>(asked: &'a str, own: Option<&str>) -> Option<&'a str> {
    let labels = own.map_or(Some(asked), |own| labels_before(asked, own))?;
    labels.split('.').next().filter(|label| !label.is_empty())
}

/// What stands before `.own`.
fn labels_before<'a>(asked: &'a str, own: &str) -> Option<&'a str> {
    let dot = asked.len().checked_sub(own.len() + 1)?;
    let (labels, rest) = asked.split_at_checked(dot)?;
    rest.strip_prefix('.').filter(|rest| rest.eq_ignore_ascii_case(own)).map(|_| labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_host_is_served_and_with_tenants_its_subdomains() {
        for (asked, alone, with_tenants) in [
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
            let served = [is_served(asked, "lb.test", false), is_served(asked, "lb.test", true)];
            assert_eq!(served, [alone, with_tenants], "{asked}");
        }
    }

    #[test]
    fn links_begin_as_the_request_came() {
        let origin = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            request_origin(&pairs.collect(), "asked.test")
        };
        assert_eq!(origin(&[]), "http://asked.test");
        assert_eq!(origin(&[("host", "lb.test:8080")]), "http://lb.test:8080");
        let behind = [("host", "lb.test"), ("x-forwarded-proto", "https, http")];
        assert_eq!(origin(&behind), "https://lb.test");
        assert_eq!(origin(&[("x-forwarded-ssl", "on")]), "https://asked.test");
        assert_eq!(origin(&[("x-forwarded-proto", "javascript")]), "http://asked.test");
    }

    #[test]
    fn the_first_label_names_the_tenant() {
        let at_lb = |asked| tenant_label(asked, Some("lb.test"));
        assert_eq!(at_lb("Acme.lb.test"), Some("Acme"));
        assert_eq!(at_lb("a.b.lb.test"), Some("a"));
        assert_eq!((at_lb("lb.test"), at_lb(".lb.test"), at_lb("")), (None, None, None));
        assert_eq!(tenant_label("acme.anywhere.test", None), Some("acme"));
        assert_eq!(tenant_label("", None), None);
    }
}
