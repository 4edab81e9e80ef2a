//! Texts from outside as a dialplan may contain them. FreeSWITCH expands `${…}` in data and patterns, also in the values of variables
//! that it has expanded before; it takes quotes, backslashes, commas and brackets of data for syntax.

use crate::grammar::is_xml_char;

use super::Dialect;

/// Longest text that is shown, in characters.
const MAX_TEXT_CHARS: usize = 128;
/// Longest number that is matched, in characters.
const MAX_NUMBER_CHARS: usize = 128;
/// Stands for a character that FreeSWITCH could take for syntax.
const PLACEHOLDER: char = '_';

/// The value of a variable of the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelText(String);

impl ChannelText {
    /// Converts any text.
    #[must_use]
    pub fn new(text: &str, dialect: Dialect) -> Self {
        match dialect {
            Dialect::FreeSwitch => {
                let harmless = |c: char| if is_harmless(c) { c } else { PLACEHOLDER };
                Self(text.chars().take(MAX_TEXT_CHARS).map(harmless).collect())
            }
            Dialect::Original => Self(escape_once(text)),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether FreeSWITCH and SIP take a character for nothing but itself.
fn is_harmless(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ' ' | '+' | '*' | '#' | '-' | '.' | '_' | '@' | ':' | '/')
}

/// Puts a backslash in front of backslashes and of `${`, as the original does.
fn escape_once(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().filter(|c| is_xml_char(*c)).peekable();
    while let Some(c) = characters.next() {
        let is_expansion = c == '$' && characters.peek() == Some(&'{');
        if c == '\\' || is_expansion {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A number that somebody has dialled, as a pattern that matches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialledNumber(String);

impl DialledNumber {
    /// Converts any text. For a FreeSWITCH, a character that is no part of a number becomes a pattern for any character.
    #[must_use]
    pub fn new(number: &str, dialect: Dialect) -> Self {
        let mut pattern = "^".to_owned();
        match dialect {
            Dialect::FreeSwitch => {
                for c in number.chars().take(MAX_NUMBER_CHARS) {
                    match c {
                        '+' | '*' | '.' | '-' => pattern.extend(['\\', c]),
                        '#' | '_' | '@' | ':' => pattern.push(c),
                        _ if c.is_ascii_alphanumeric() => pattern.push(c),
                        _ => pattern.push('.'),
                    }
                }
            }
            Dialect::Original => number.chars().for_each(|c| push_literal(&mut pattern, c)),
        }
        // A longer number is matched by how it begins.
        if dialect == Dialect::Original || number.chars().nth(MAX_NUMBER_CHARS).is_none() {
            pattern.push('$');
        }
        Self(pattern)
    }

    pub(super) fn expression(&self) -> &str {
        &self.0
    }
}

/// Adds a pattern for this very character, as Ruby's `Regexp.escape` does.
fn push_literal(pattern: &mut String, c: char) {
    let letter = match c {
        '\n' => 'n',
        '\t' => 't',
        '\r' => 'r',
        '\x0c' => 'f',
        '\x0b' => 'v',
        '[' | ']' | '{' | '}' | '(' | ')' | '|' | '-' | '*' | '.' | '\\' | '?' | '+' | '^'
        | '$' | '#' | ' ' => c,
        _ => {
            pattern.extend(Some(c).filter(|c| is_xml_char(*c)));
            return;
        }
    };
    pattern.extend(['\\', letter]);
}

/// The number of a conference: digits only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin(String);

impl Pin {
    /// Returns what a caller has entered, if it can be a PIN.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_pin = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        is_pin.then(|| Self(text.to_owned()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The host of a SIP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipHost(String);

impl SipHost {
    /// Returns a host name or address, if it is one.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        let is_ipv6 = host.contains(':')
            && host.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        if is_ipv6 {
            return Some(Self(format!("[{host}]")));
        }
        is_name(host).then(|| Self(host.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
