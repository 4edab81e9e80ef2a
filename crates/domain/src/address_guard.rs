//! Where messages to front-ends may go. Their addresses come from callers: without a guard anybody who may create a
//! meeting could have us call the machines around us.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Hosts that may be called although they are not on the public Internet (`CALLBACK_ALLOW`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    /// Host names in lower case; one that begins with a dot stands for all below it.
    names: Vec<String>,
    /// Networks: an address and the number of leading bits that count.
    networks: Vec<(IpAddr, u8)>,
}

impl AllowedHosts {
    /// Reads a list of host names (`lms.campus.example`, `.campus.example`), addresses and networks (`10.0.0.0/8`),
    /// separated by commas or blanks.
    ///
    /// # Errors
    /// Names the piece that is none of them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for piece in text.split([',', ' ']).filter(|piece| !piece.is_empty()) {
            match parse_network(piece) {
                Some(network) => allowed.networks.push(network),
                None if is_host_name(piece) => allowed.names.push(piece.to_ascii_lowercase()),
                None => return Err(format!("`{piece}` is no host name, address or network")),
            }
        }
        Ok(allowed)
    }

    /// Whether a host may be called at that address, which its name led to.
    #[must_use]
    pub fn is_allowed(&self, host: &str, address: IpAddr) -> bool {
        let address = unmap_address(address);
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let named = |name: &String| match name.strip_prefix('.') {
            Some(_) => host.ends_with(name.as_str()),
            None => host == *name,
        };
        let within = |(network, bits): &(IpAddr, u8)| is_within(address, *network, *bits);
        is_public(address) || self.names.iter().any(named) || self.networks.iter().any(within)
    }
}

fn is_host_name(piece: &str) -> bool {
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    piece.bytes().all(usable) && piece.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn parse_network(piece: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match piece.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (piece, None),
    };
    let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((address, bits))
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

/// An IPv4 address that is spelled as an IPv6 one is what it stands for.
fn unmap_address(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let [a, b, c, d, e, f, ..] = six.segments();
    let last = Ipv4Addr::from_bits((six.to_bits() & 0xffff_ffff) as u32);
    match [a, b, c, d, e, f] {
        // ::ffff:0:0/96 (mapped) and 64:ff9b::/96 (NAT64).
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => last.into(),
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

/// Source: IANA's registry of special-purpose IPv4 addresses.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // This network; shared address space; protocol assignments; benchmarks; reserved.
        || a == 0
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18)
        || a >= 240;
    !special
}

/// Only global unicast is public: 2000::/3, without documentation and Teredo. Source: IANA's registry.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let special = a & 0xe000 != 0x2000 || (a == 0x2001 && (b == 0 || b == 0xdb8)) || a == 0x3fff;
    !special
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
    fn listed_hosts_are_allowed() {
        assert!(is_allowed("10.0.0.0/8, lms.campus", "any.example", "10.200.0.1"));
        assert!(!is_allowed("10.0.0.0/16", "any.example", "10.1.0.1"));
        assert!(is_allowed("lms.campus", "LMS.Campus.", "192.168.0.1"));
        assert!(!is_allowed("lms.campus", "other.lms.campus", "192.168.0.1"));
        assert!(is_allowed(".campus", "lms.campus", "192.168.0.1"));
        assert!(!is_allowed(".campus", "evilcampus", "192.168.0.1"));
        assert!(is_allowed("127.0.0.1", "localhost", "::ffff:127.0.0.1"));
        assert!(is_allowed("[::1] fd00::/8", "x", "fd12::5") && is_allowed("::1", "x", "::1"));
        assert!(is_allowed("0.0.0.0/0", "x", "127.0.0.1"));
        for bad in ["10.0.0.0/33", "a b/8", "http://x", "10.0.0", "::1/129"] {
            assert!(AllowedHosts::parse(bad).is_err(), "{bad}");
        }
    }
}
