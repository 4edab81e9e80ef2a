//! Decides which addresses callbacks may be sent to. Callers choose the callback URLs, so without
//! this check anybody who may create a meeting could make the balancer send requests to machines of
//! its internal network.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Hosts that callbacks may be sent to although they are not on the public Internet
/// (`CALLBACK_ALLOW`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    /// Host names in lower case. A name that begins with a dot allows all hosts below that domain.
    names: Vec<String>,
    networks: Vec<IpNet>,
}

impl AllowedHosts {
    /// Parses a list of host names (`lms.campus.example`, `.campus.example`), addresses, and
    /// networks (`10.0.0.0/8`), separated by commas or blanks.
    ///
    /// # Errors
    /// When an entry is none of these; the error names the entry.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for piece in text.split([',', ' ']).filter(|piece| !piece.is_empty()) {
            match parse_network(piece) {
                Some(network) => allowed.networks.push(network),
                None if is_host_name(piece) => allowed.names.push(piece.to_ascii_lowercase()),
                None => return Err(format!("`{piece}` is not a host name, address or network")),
            }
        }
        Ok(allowed)
    }

    /// Returns whether a callback may be sent to `host` at `address`, to which the host name
    /// resolved.
    #[must_use]
    pub fn is_allowed(&self, host: &str, address: IpAddr) -> bool {
        let address = unmap_address(address);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let matches_name = |name: &String| match name.strip_prefix('.') {
            Some(_) => host.ends_with(name.as_str()),
            None => host == *name,
        };
        is_public(address)
            || self.names.iter().any(matches_name)
            || self.networks.iter().any(|network| network.contains(&address))
    }
}

fn is_host_name(piece: &str) -> bool {
    let is_allowed_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    piece.bytes().all(is_allowed_byte) && piece.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Parses a network or a single address. IPv6 addresses may have brackets, as in URLs:
/// `[fd00::]/8`.
fn parse_network(piece: &str) -> Option<IpNet> {
    let parse_address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    match piece.split_once('/') {
        Some((address, length)) => IpNet::new(parse_address(address)?, length.parse().ok()?).ok(),
        None => parse_address(piece).map(IpNet::from),
    }
}

/// Returns the IPv4 address that an IPv6 address embeds, or else the address itself.
fn unmap_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, ..] = v6.segments();
    let last_32_bits = Ipv4Addr::from_bits((v6.to_bits() & 0xffff_ffff) as u32);
    match [a, b, c, d, e, f] {
        // ::ffff:0:0/96 (mapped) and 64:ff9b::/96 (NAT64).
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => last_32_bits.into(),
        // 2002::/16 (6to4).
        [0x2002, ..] => Ipv4Addr::from_bits(u32::from(b) << 16 | u32::from(c)).into(),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Returns whether an address is not in IANA's registry of special-purpose IPv4 addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // This network, shared address space, protocol assignments, benchmarks, reserved.
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240;
    !is_special
}

/// Returns whether an address is global unicast (2000::/3), and neither documentation nor Teredo.
/// Source: IANA's registry of special-purpose IPv6 addresses.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_special = a & 0xe000 != 0x2000 || (a == 0x2001 && (b == 0 || b == 0xdb8)) || a == 0x3fff;
    !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(allowed: &str, host: &str, address: &str) -> bool {
        AllowedHosts::parse(allowed).unwrap().is_allowed(host, address.parse().unwrap())
    }

    #[test]
    fn private_addresses_are_refused() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001:0:1::1",
        ] {
            assert!(!is_allowed("", "lms.example.org", address), "{address}");
        }
        for address in ["8.8.8.8", "2606:4700::1111", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8"]
        {
            assert!(is_allowed("", "lms.example.org", address), "{address}");
        }
    }

    #[test]
    fn listed_hosts_and_networks_are_allowed() {
        assert!(is_allowed("10.0.0.0/8, lms.campus", "any.example", "10.200.0.1"));
        assert!(!is_allowed("10.0.0.0/16", "any.example", "10.1.0.1"));
        assert!(is_allowed("lms.campus", "LMS.Campus.", "192.168.0.1"));
        assert!(!is_allowed("lms.campus", "other.lms.campus", "192.168.0.1"));
        assert!(is_allowed(".campus", "lms.campus", "192.168.0.1"));
        assert!(!is_allowed(".campus", "evilcampus", "192.168.0.1"));
        assert!(is_allowed("127.0.0.1", "localhost", "::ffff:127.0.0.1"));
        assert!(is_allowed("[::1] fd00::/8", "x", "fd12::5") && is_allowed("::1", "x", "::1"));
        assert!(is_allowed("0.0.0.0/0", "x", "127.0.0.1"));
        assert!(is_allowed("10.1.2.3/8", "x", "10.200.0.1"), "host bits are ignored");
        assert!(is_allowed("[fd00::]/8", "x", "fd12::5"));
        for text in ["10.0.0.0/33", "a b/8", "http://x", "10.0.0", "::1/129", "::1/", "/8"] {
            assert!(AllowedHosts::parse(text).is_err(), "{text}");
        }
    }
}
