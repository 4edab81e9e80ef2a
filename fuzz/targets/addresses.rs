//! Settings and addresses that people write: parameter rules, allowed hosts, URLs of servers.
#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use domain::address_guard::AllowedHosts;
use domain::parameters::ParameterRules;
use domain::twins::normalize_url;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = ParameterRules::parse_names(text);
    let _ = ParameterRules::parse_pairs(text);
    let normalized = normalize_url(text);
    assert_eq!(normalize_url(&normalized), normalized, "{text:?}");
    // A mapped address is the address that it maps.
    if let Ok(IpAddr::V4(address)) = text.parse::<IpAddr>() {
        let mapped: Ipv6Addr = address.to_ipv6_mapped();
        let nobody = AllowedHosts::parse("").expect("an empty list");
        let (plain, mapped) = (IpAddr::V4(address), IpAddr::V6(mapped));
        assert_eq!(nobody.is_allowed("host", plain), nobody.is_allowed("host", mapped));
    }
    let _ = AllowedHosts::parse(text);
});
