//! What the addresses of Redis and PostgreSQL have in common: a URL in its parts. Not a URL
//! library's parser, since those know neither lists of hosts nor hosts that are paths. Nothing here
//! quotes what it was given: a password with a stray `/` or `@` turns up anywhere.

use percent_encoding::percent_decode_str;

/// The advice for all that went wrong because of a password.
const ESCAPE_ADVICE: &str =
    "the characters / ? # @ : % and blanks in user and password must be percent-encoded";

/// A URL, cut at its marks; nothing is decoded but the query, user and password.
#[derive(Default)]
pub(crate) struct UrlParts<'a> {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// Hosts and ports, as they stand between user and path.
    pub(crate) hosts: &'a str,
    /// What follows the hosts, without its first slash.
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(String, String)>,
}

impl<'a> UrlParts<'a> {
    /// Cuts what follows `scheme://`.
    pub(crate) fn parse(rest: &'a str) -> Result<Self, String> {
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("blanks are not allowed: {ESCAPE_ADVICE}"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (user, hosts),
            None => ("", authority),
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let stray = |pair: &str| pair.contains('@') && !pair.contains('=');
        if path.contains('@') || user.contains('@') || pairs.clone().any(stray) {
            return Err(format!("there is an @ too many: {ESCAPE_ADVICE}"));
        }
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        let given = |text: &str| (!text.is_empty()).then(|| decode(text)).transpose();
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        };
        Ok(Self {
            user: given(user)?,
            password: password.map_or(Ok(None), given)?,
            hosts,
            path,
            query: pairs.map(pair).collect::<Result<_, String>>()?,
        })
    }
}

/// Percent-escapes, decoded; a plus stays a plus.
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let well_formed = text.split('%').skip(1).all(|after| {
        after.len() >= 2 && after.bytes().take(2).all(|digit| digit.is_ascii_hexdigit())
    });
    let decoded = percent_decode_str(text).decode_utf8().ok().filter(|_| well_formed);
    let decoded = decoded.ok_or_else(|| format!("a percent-escape is wrong: {ESCAPE_ADVICE}"))?;
    if decoded.contains('\0') {
        return Err("a zero byte is not allowed".to_owned());
    }
    Ok(decoded.into_owned())
}

/// A list of hosts with their ports, if they have any; IPv6 in brackets.
pub(crate) fn parse_hosts(list: &str) -> Result<Vec<(String, Option<u16>)>, String> {
    list.split(',').map(parse_host).collect()
}

fn parse_host(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']').ok_or("a [ has no ]")?;
            let port = after.strip_prefix(':').or_else(|| after.is_empty().then_some(""));
            (host, port.ok_or("after ] comes nothing or a port")?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if port.contains(':') {
        return Err(format!("an IPv6 address must stand in brackets, or: {ESCAPE_ADVICE}"));
    }
    Ok((decode(host)?, parse_port(port)?))
}

/// A port, if there is one.
pub(crate) fn parse_port(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    let wrong = || format!("a port is no number from 1 to 65535, or: {ESCAPE_ADVICE}");
    Ok(Some(port.ok_or_else(wrong)?))
}

/// A host and its port, as they are written in URLs.
pub(crate) fn format_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
