//! Splits URLs of Redis and PostgreSQL into their parts. Parsers of URL libraries support neither
//! lists of hosts nor hosts that are paths. Errors never contain a part of the URL: because of an
//! unescaped `/` or `@`, any part may be a piece of the password.

use percent_encoding::percent_decode_str;

/// The advice for errors that an unescaped password causes.
const ESCAPE_ADVICE: &str =
    "the characters / ? # @ : % and blanks in user and password must be percent-encoded";

/// The parts of a URL. User, password and query are decoded, hosts and path are not.
#[derive(Default)]
pub(crate) struct UrlParts<'a> {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// The hosts and ports between user and path.
    pub(crate) hosts: &'a str,
    /// The text after the hosts, without its first slash.
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(String, String)>,
}

impl<'a> UrlParts<'a> {
    /// Splits the text after `scheme://`.
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
        let is_misplaced = |pair: &str| pair.contains('@') && !pair.contains('=');
        if path.contains('@') || user.contains('@') || pairs.clone().any(is_misplaced) {
            return Err(format!("there is more than one @: {ESCAPE_ADVICE}"));
        }
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user, None),
        };
        let decode_if_given = |text: &str| (!text.is_empty()).then(|| decode(text)).transpose();
        let parse_pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        };
        Ok(Self {
            user: decode_if_given(user)?,
            password: password.map_or(Ok(None), decode_if_given)?,
            hosts,
            path,
            query: pairs.map(parse_pair).collect::<Result<_, String>>()?,
        })
    }
}

/// Decodes percent-escapes. A plus stays a plus.
pub(crate) fn decode(text: &str) -> Result<String, String> {
    let is_well_formed = text.split('%').skip(1).all(|after| {
        after.len() >= 2 && after.bytes().take(2).all(|digit| digit.is_ascii_hexdigit())
    });
    let decoded = percent_decode_str(text).decode_utf8().ok().filter(|_| is_well_formed);
    let decoded = decoded.ok_or_else(|| format!("a percent-escape is invalid: {ESCAPE_ADVICE}"))?;
    if decoded.contains('\0') {
        return Err("a zero byte is not allowed".to_owned());
    }
    Ok(decoded.into_owned())
}

/// Parses a list of hosts with optional ports. IPv6 addresses are in brackets.
pub(crate) fn parse_hosts(list: &str) -> Result<Vec<(String, Option<u16>)>, String> {
    list.split(',').map(parse_host).collect()
}

fn parse_host(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("a [ has no ]")?;
            let port = after.strip_prefix(':').or_else(|| after.is_empty().then_some(""));
            (host, port.ok_or("a ] must be followed by nothing or a port")?)
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if port.contains(':') {
        return Err(format!("an IPv6 address must be in brackets, or: {ESCAPE_ADVICE}"));
    }
    Ok((decode(host)?, parse_port(port)?))
}

/// Parses a port. An empty text is no port.
pub(crate) fn parse_port(text: &str) -> Result<Option<u16>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    let invalid = || format!("a port must be a number from 1 to 65535, or: {ESCAPE_ADVICE}");
    Ok(Some(port.ok_or_else(invalid)?))
}

/// Formats a host and its port as in a URL.
pub(crate) fn format_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
