//! The host that a request asks for: whether we are it, and which tenant it names.

use http::header;
use http::request::Parts;

/// The host that a request asks for, without its port.
pub(super) fn asked(parts: &Parts) -> &str {
    let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let asked = parts.uri.authority().map(http::uri::Authority::as_str).or(header).unwrap_or("");
    match asked.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => asked,
    }
}

/// Whether a host is our own, or, with tenants, one of its subdomains.
pub(super) fn is_served(asked: &str, own: &str, with_tenants: bool) -> bool {
    asked.eq_ignore_ascii_case(own) || with_tenants && labels_before(asked, own).is_some()
}

/// The label that names a tenant: the first one, but none of our own host's.
pub(super) fn tenant<'a>(asked: &'a str, own: Option<&str>) -> Option<&'a str> {
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
    fn the_first_label_names_the_tenant() {
        let at_lb = |asked| tenant(asked, Some("lb.test"));
        assert_eq!(at_lb("Acme.lb.test"), Some("Acme"));
        assert_eq!(at_lb("a.b.lb.test"), Some("a"));
        assert_eq!((at_lb("lb.test"), at_lb(".lb.test"), at_lb("")), (None, None, None));
        assert_eq!(tenant("acme.anywhere.test", None), Some("acme"));
        assert_eq!(tenant("", None), None);
    }
}
