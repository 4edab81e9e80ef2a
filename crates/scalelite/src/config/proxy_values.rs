//! The type of TRUSTED_PROXIES: the addresses whose word about clients is believed.

use std::net::IpAddr;

use ipnet::IpNet;

use super::values::{OriginalReading, SettingValue};

/// Stands for connections over Unix sockets in the list.
const UNIX_SOCKET: &str = "unix";

/// The addresses of reverse proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyAddresses {
    networks: Vec<IpNet>,
    has_unix_socket: bool,
}

impl ProxyAddresses {
    /// Returns whether an address is one of these; `None` is the other end of a Unix socket.
    pub fn contains(&self, address: Option<IpAddr>) -> bool {
        match address.map(|address| address.to_canonical()) {
            Some(address) => self.networks.iter().any(|network| network.contains(&address)),
            None => self.has_unix_socket,
        }
    }
}

impl SettingValue for ProxyAddresses {
    const ACCEPTS: &'static str =
        "addresses and networks, separated by commas, e.g. 10.0.0.5,172.16.0.0/12,::1,unix";

    fn read(text: &str) -> Option<Self> {
        let mut addresses = Self::default();
        for item in text.split([',', ' ']).filter(|item| !item.is_empty()) {
            if item.eq_ignore_ascii_case(UNIX_SOCKET) {
                addresses.has_unix_socket = true;
            } else {
                addresses.networks.push(read_network(item)?);
            }
        }
        let is_empty = addresses.networks.is_empty() && !addresses.has_unix_socket;
        (!is_empty).then_some(addresses)
    }

    fn read_as_original(_text: &str) -> OriginalReading<Self> {
        // Whoever is left out by mistake is not believed, which nobody would notice.
        OriginalReading::Refused
    }
}

fn read_network(text: &str) -> Option<IpNet> {
    let address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    match address.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read() {
        let proxies =
            ProxyAddresses::read("10.0.0.5, 172.16.0.0/12 ::1,unix,[2001:db8::1]").unwrap();
        let contains = |text: &str| proxies.contains(Some(text.parse().unwrap()));
        for trusted in ["10.0.0.5", "::ffff:10.0.0.5", "172.31.0.1", "::1", "2001:db8::1"] {
            assert!(contains(trusted), "{trusted}");
        }
        assert!(!contains("10.0.0.6") && !contains("172.32.0.1") && proxies.contains(None));
        assert!(!ProxyAddresses::read("127.0.0.1").unwrap().contains(None));
        for wrong in ["", " ", "nginx", "10.0.0.0/33", "10.0.0.5:80", "0.0.0.0/0/1"] {
            assert_eq!(ProxyAddresses::read(wrong), None, "{wrong}");
        }
    }
}
