//! The other end of a connection: its address, whether it is a proxy that is believed, and what it said before the first request.

use std::fmt;
use std::net::IpAddr;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its address; `None` for a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Whether it is one of TRUSTED_PROXIES.
    pub(super) is_proxy: bool,
    /// The address of the client, as a proxy told it by the PROXY protocol.
    pub(super) told_address: Option<IpAddr>,
    /// Whether the connection uses TLS, or the client's connection to the proxy did.
    pub(super) is_tls: bool,
}

impl Peer {
    /// The other end of a connection from this address; `None` for a Unix socket.
    pub(super) fn new(address: Option<IpAddr>, is_proxy: bool) -> Self {
        let address = address.map(|address| address.to_canonical());
        Self { address, is_proxy, ..Self::default() }
    }

    /// Returns the address that its requests come from, unless their heads say more.
    pub(super) fn client(&self) -> Option<IpAddr> {
        self.told_address.or(self.address)
    }

    /// Returns whether connections of several clients arrive from its address.
    pub(super) fn is_shared(&self) -> bool {
        self.is_proxy && self.told_address.is_none()
    }
}

/// An address, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShownAddress(pub(super) Option<IpAddr>);

impl fmt::Display for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}
