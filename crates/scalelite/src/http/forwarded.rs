//! Whose request it is: what a trusted proxy tells of its client in `X-Forwarded-*` or `Forwarded` (RFC 7239). Nobody else is believed,
//! except that without TRUSTED_PROXIES anybody may say that the client uses TLS, as with the original.

use std::net::IpAddr;

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, header};

use super::notices::Notice;
use super::peer::{Peer, ShownAddress};
use crate::config::values::ProxyAddresses;

/// Most addresses of one request that are looked at, the nearest first.
const MAX_HOPS: usize = 32;

/// Who is believed, and of what was logged already.
#[derive(Debug)]
pub struct ProxyRules {
    /// TRUSTED_PROXIES; `None` if it is not set.
    trusted: Option<ProxyAddresses>,
    unknown_proxy: Notice,
    contradiction: Notice,
}

/// The client that sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// Its address; `None` for a Unix socket.
    pub(super) address: Option<IpAddr>,
    /// Whether it uses TLS.
    pub(super) is_https: bool,
}

impl Client {
    /// The client of a request whose head is not read: the other end of the connection.
    pub(super) fn unread(peer: &Peer) -> Self {
        Self { address: peer.client(), is_https: peer.is_tls }
    }
}

impl ProxyRules {
    /// Rules that believe these proxies.
    pub fn new(trusted: Option<ProxyAddresses>) -> Self {
        Self { trusted, unknown_proxy: Notice::default(), contradiction: Notice::default() }
    }

    /// Returns the other end of a connection from this address; `None` for a Unix socket.
    pub(super) fn peer(&self, address: Option<IpAddr>) -> Peer {
        Peer::new(address, self.is_trusted(address))
    }

    fn is_trusted(&self, address: Option<IpAddr>) -> bool {
        self.trusted.as_ref().is_some_and(|trusted| trusted.contains(address))
    }

    /// Returns the client of a request. If a trusted proxy tells which host the client asked for, `Host` becomes that one.
    pub(super) fn identify(&self, peer: &Peer, parts: &mut Parts) -> Client {
        if !peer.is_proxy {
            self.note_unknown_proxy(peer, &parts.headers);
            let is_told = self.trusted.is_none() && first_told_scheme(&parts.headers);
            return Client { address: peer.client(), is_https: peer.is_tls || is_told };
        }
        let (usual, standard) =
            (Told::by_usual_headers(&parts.headers), Told::by_standard_header(&parts.headers));
        let (usual_client, usual_hops) = self.find_client(peer, &usual.addresses);
        let (standard_client, standard_hops) = self.find_client(peer, &standard.addresses);
        let (has_usual, has_standard) = (usual_hops > 0, standard_hops > 0);
        // Proxies pass on what they do not know. If the two contradict each other, one of them may come from the client.
        let contradict = has_usual && has_standard && usual_client != standard_client;
        let address = match (has_usual, has_standard) {
            _ if contradict => peer.client(),
            (false, true) => standard_client,
            _ => usual_client,
        };
        let scheme = usual.scheme(usual_hops).or_else(|| standard.scheme(standard_hops));
        let host = (usual.host(usual_hops), standard.host(standard_hops));
        let (host, hosts_contradict) = match host {
            (Some(usual), Some(standard))
                if !usual.as_bytes().eq_ignore_ascii_case(standard.as_bytes()) =>
            {
                (None, true)
            }
            (usual, standard) => (usual.or(standard), false),
        };
        if contradict || hosts_contradict {
            self.note_contradiction(peer);
        }
        if let Some(host) = host {
            parts.headers.insert(header::HOST, host);
        }
        Client { address, is_https: scheme.unwrap_or(peer.is_tls) }
    }

    /// Returns the last address that no trusted proxy has, seen from here, and how many addresses were told until then.
    fn find_client(&self, peer: &Peer, told: &[Option<IpAddr>]) -> (Option<IpAddr>, usize) {
        let (mut client, mut hops) = (peer.client(), 0);
        let mut is_proxy = peer.told_address.is_none() || self.is_trusted(client);
        for address in told.iter().rev() {
            // An address that is not told: all that is known is who said so.
            let Some(address) = address.filter(|_| is_proxy) else { break };
            hops += 1;
            client = Some(address);
            is_proxy = self.is_trusted(client);
        }
        (client, hops)
    }

    /// Logs that somebody sends what a proxy would send, without being one of TRUSTED_PROXIES.
    fn note_unknown_proxy(&self, peer: &Peer, headers: &HeaderMap) {
        let is_told =
            headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
        if is_told && self.unknown_proxy.is_due() {
            let reason = match self.trusted {
                None => {
                    "a proxy seems to be in front: TRUSTED_PROXIES must name its address, or the log and the limits of each address see one client"
                }
                Some(_) => {
                    "the address is not in TRUSTED_PROXIES: what it says of its clients is ignored"
                }
            };
            let address = ShownAddress(peer.client());
            tracing::warn!(%address, reason, "headers of an unknown proxy");
        }
    }

    fn note_contradiction(&self, peer: &Peer) {
        if self.contradiction.is_due() {
            let reason = "X-Forwarded-For or X-Forwarded-Host contradicts Forwarded, and neither is used: the proxy must remove the header that it does not set";
            let proxy = ShownAddress(peer.address);
            tracing::warn!(%proxy, reason, "headers of a proxy contradict each other");
        }
    }
}

/// What one kind of header tells, the nearest proxy's word last.
#[derive(Default)]
struct Told {
    /// `None` for an address that is hidden or unreadable.
    addresses: Vec<Option<IpAddr>>,
    schemes: Vec<String>,
    hosts: Vec<String>,
}

impl Told {
    fn by_usual_headers(headers: &HeaderMap) -> Self {
        let schemes = ["x-forwarded-proto", "x-forwarded-scheme"];
        let schemes = schemes.map(|name| list_values(headers, name));
        let mut schemes = schemes.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
        if schemes.is_empty() {
            let is_on = |text: &str| if text.eq_ignore_ascii_case("on") { "https" } else { "http" };
            let told = list_values(headers, "x-forwarded-ssl");
            schemes = told.iter().map(|text| is_on(text).to_owned()).collect();
        }
        let addresses = list_values(headers, "x-forwarded-for");
        Self {
            addresses: addresses.iter().map(|text| parse_address(text)).collect(),
            schemes,
            hosts: list_values(headers, "x-forwarded-host"),
        }
    }

    fn by_standard_header(headers: &HeaderMap) -> Self {
        let mut told = Self::default();
        for value in headers.get_all(header::FORWARDED) {
            let Ok(value) = value.to_str() else { continue };
            for node in rfc7239::parse(value) {
                let Ok(node) = node else {
                    told.addresses.push(None);
                    continue;
                };
                let unquoted = |text: &str| text.trim_matches('"').to_owned();
                told.addresses.push(node.forwarded_for.and_then(|node| node.ip().copied()));
                told.schemes.extend(node.protocol.map(unquoted));
                told.hosts.extend(node.host.map(unquoted));
            }
        }
        let excess = told.addresses.len().saturating_sub(MAX_HOPS);
        told.addresses.drain(..excess);
        told
    }

    /// Returns whether the client uses TLS, as the proxy says that told its address.
    fn scheme(&self, hops: usize) -> Option<bool> {
        nth_from_end(&self.schemes, hops).map(|scheme| scheme.eq_ignore_ascii_case("https"))
    }

    /// Returns the host that the client asked for, as the proxy says that told its address.
    fn host(&self, hops: usize) -> Option<HeaderValue> {
        let host = nth_from_end(&self.hosts, hops)?;
        let authority = host.parse::<Authority>().ok().filter(|_| !host.contains('@'))?;
        HeaderValue::from_str(authority.as_str()).ok()
    }
}

/// Returns the value that the proxy added which is so many hops away; the first one if proxies have added fewer.
fn nth_from_end(values: &[String], hops: usize) -> Option<&String> {
    let index = values.len().saturating_sub(hops.max(1));
    values.get(index)
}

/// Returns the last values of a header that is a list, over all of its lines.
fn list_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let values = lines.flat_map(|line| line.split(',')).map(str::trim);
    let mut values: Vec<String> =
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect();
    let excess = values.len().saturating_sub(MAX_HOPS);
    values.drain(..excess);
    values
}

/// Parses an address that may have a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let without_port = match text.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => text
            .rsplit_once(':')
            .filter(|(host, _)| !host.contains(':'))
            .map_or(text, |(host, _)| host),
    };
    without_port.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Returns whether anybody says that the client uses TLS: the first value of `X-Forwarded-Proto`, `X-Forwarded-Scheme` and
/// `X-Forwarded-Ssl`.
fn first_told_scheme(headers: &HeaderMap) -> bool {
    let first_value = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok())?;
        value.split(',').next().map(str::trim)
    };
    let scheme = first_value("x-forwarded-proto").or_else(|| first_value("x-forwarded-scheme"));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
        || first_value("x-forwarded-ssl").is_some_and(|ssl| ssl.eq_ignore_ascii_case("on"))
}

#[cfg(test)]
mod tests;
