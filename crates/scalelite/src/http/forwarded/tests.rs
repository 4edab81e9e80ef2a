//! Tests of what is believed of whom.

use http::Request;

use super::*;
use crate::config::values::SettingValue as _;

const PROXY: &str = "10.0.0.1";

fn rules(trusted: &str) -> ProxyRules {
    ProxyRules::new(ProxyAddresses::read(trusted))
}

fn parse(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Address, whether it is HTTPS, and `Host`, of a request with these headers from an address.
fn identify(trusted: &str, from: &str, headers: &[(&str, &str)]) -> (String, bool, String) {
    let rules = rules(trusted);
    let request = Request::builder().header("host", "own.test");
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let mut parts = request.body(()).unwrap().into_parts().0;
    let client = rules.identify(&rules.peer(parse(from)), &mut parts);
    let host = parts.headers[header::HOST].to_str().unwrap().to_owned();
    (ShownAddress(client.address).to_string(), client.is_https, host)
}

fn client(headers: &[(&str, &str)]) -> String {
    identify("10.0.0.0/8", PROXY, headers).0
}

#[test]
fn strangers_are_not_believed() {
    let all = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "lb.test"),
        ("forwarded", "for=192.0.2.1;proto=https;host=lb.test"),
    ];
    let seen = |trusted, from| identify(trusted, from, &all);
    assert_eq!(seen("10.0.0.1", "10.0.0.2"), ("10.0.0.2".into(), false, "own.test".into()));
    assert_eq!(seen("10.0.0.1", PROXY), ("192.0.2.1".into(), true, "lb.test".into()));
    // Without the setting the scheme alone is believed, as with the original.
    assert_eq!(seen("", PROXY), (PROXY.into(), true, "own.test".into()));
    assert_eq!(seen("", "::ffff:10.0.0.1").0, PROXY);
}

#[test]
fn the_client_is_the_first_address_that_is_no_proxy() {
    let told = |list: &str| client(&[("x-forwarded-for", list)]);
    assert_eq!(told("192.0.2.1"), "192.0.2.1");
    assert_eq!(told("198.51.100.9, 192.0.2.1, 10.0.0.7"), "192.0.2.1");
    assert_eq!(told("192.0.2.1:4711"), "192.0.2.1");
    assert_eq!(told("[2001:db8::1]:4711"), "2001:db8::1");
    assert_eq!(told("2001:db8::1"), "2001:db8::1");
    // What is not an address is not guessed.
    assert_eq!(told("192.0.2.1, unknown"), PROXY);
    assert_eq!(told("192.0.2.1, unknown, 10.0.0.7"), "10.0.0.7");
    assert_eq!(told(", ,"), PROXY);
    assert_eq!(told("10.0.0.9, 10.0.0.8"), "10.0.0.9");
    let lines = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(client(&lines), "192.0.2.1");
    let long = vec!["10.0.0.2"; 100_000].join(",");
    assert_eq!(told(&long), "10.0.0.2");
}

#[test]
fn the_standard_header_is_read() {
    let told = |value: &str| client(&[("forwarded", value)]);
    assert_eq!(told("for=192.0.2.1;proto=https"), "192.0.2.1");
    assert_eq!(told("for=\"[2001:db8::1]:80\""), "2001:db8::1");
    assert_eq!(told("for=198.51.100.9, For=192.0.2.1, for=10.0.0.7"), "192.0.2.1");
    assert_eq!(told("for=192.0.2.1, for=_hidden"), PROXY);
    assert_eq!(told("for=192.0.2.1, nonsense"), PROXY);
    let seen =
        identify(PROXY, PROXY, &[("forwarded", "for=192.0.2.1;host=\"lb.test:8443\";proto=https")]);
    assert_eq!(seen, ("192.0.2.1".into(), true, "lb.test:8443".into()));
}

#[test]
fn headers_that_contradict_each_other_are_not_believed() {
    let seen = |standard| {
        let headers = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "lb.test"),
            ("forwarded", standard),
        ];
        identify(PROXY, PROXY, &headers)
    };
    assert_eq!(seen("for=192.0.2.1;host=LB.test").0, "192.0.2.1");
    assert_eq!(seen("for=192.0.2.2").0, PROXY);
    assert_eq!(seen("for=192.0.2.1;host=evil.test").2, "own.test");
}

#[test]
fn scheme_and_host_are_those_of_the_proxy_that_told_the_address() {
    let seen = |list: &str, schemes: &str, hosts: &str| {
        let headers = [
            ("x-forwarded-for", list),
            ("x-forwarded-proto", schemes),
            ("x-forwarded-host", hosts),
        ];
        let (_, is_https, host) = identify("10.0.0.0/8", PROXY, &headers);
        (is_https, host)
    };
    // The client has forged the first of each.
    let forged = seen("198.51.100.9, 192.0.2.1", "https, http", "evil.test, lb.test");
    assert_eq!(forged, (false, "lb.test".into()));
    let two_proxies = seen("192.0.2.1, 10.0.0.7", "https, http", "lb.test, inner.test");
    assert_eq!(two_proxies, (true, "lb.test".into()));
    // The last proxy has replaced what the others said.
    assert_eq!(seen("192.0.2.1, 10.0.0.7", "https", "lb.test"), (true, "lb.test".into()));
    for wrong in ["a b", "user@lb.test", "lb.test/path", "lb.test:port:x"] {
        assert_eq!(seen("192.0.2.1", "javascript", wrong), (false, "own.test".into()), "{wrong}");
    }
    let is_https = |name, value| identify(PROXY, PROXY, &[(name, value)]).1;
    assert!(is_https("x-forwarded-ssl", "on") && !is_https("x-forwarded-ssl", "off"));
    assert!(is_https("x-forwarded-scheme", "HTTPS"));
}

#[test]
fn the_proxy_protocol_tells_the_address_before_the_headers() {
    let rules = rules("10.0.0.0/8");
    let seen = |told: &str, list: &str| {
        let request = Request::builder().header("x-forwarded-for", list).body(()).unwrap();
        let peer = Peer { told_address: parse(told), ..rules.peer(parse(PROXY)) };
        ShownAddress(rules.identify(&peer, &mut request.into_parts().0).address).to_string()
    };
    assert_eq!(seen("192.0.2.1", "198.51.100.9"), "192.0.2.1");
    assert_eq!(seen("10.0.0.7", "192.0.2.1"), "192.0.2.1");
}
