//! The part of an address by which connections are counted.

use std::net::IpAddr;

use crate::http::peer::Peer;

/// Connections that count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClientAddress {
    /// An IPv4 address.
    V4([u8; 4]),
    /// An IPv6 network of 64 bits, of which one customer has all addresses.
    V6([u8; 8]),
    /// A Unix socket.
    Local,
}

impl From<IpAddr> for ClientAddress {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl From<Option<IpAddr>> for ClientAddress {
    fn from(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Local, Self::from)
    }
}

impl From<Peer> for ClientAddress {
    fn from(peer: Peer) -> Self {
        peer.client().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted_as(text: &str) -> ClientAddress {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_of_one_customer_count_together() {
        assert_eq!(counted_as("2001:db8:1:2::1"), counted_as("2001:db8:1:2:ffff:1:2:3"));
        assert_ne!(counted_as("2001:db8:1:2::1"), counted_as("2001:db8:1:3::1"));
        assert_ne!(counted_as("192.0.2.1"), counted_as("192.0.2.2"));
        assert_eq!(counted_as("::ffff:192.0.2.1"), counted_as("192.0.2.1"));
    }
}
