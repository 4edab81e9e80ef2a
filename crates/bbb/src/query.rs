//! Query strings that keep their original bytes. Order, duplicates and encoding stay as received,
//! and an edit changes no other pair, because BBB checksums cover the bytes and not the decoded
//! values.

use std::borrow::Cow;
use std::collections::HashSet;

/// One `name=value` of a query string, encoded, without the separating `&`.
#[derive(Clone, Debug)]
struct QueryPair {
    text: PairText,
    /// The length of the encoded name, in bytes.
    name_length: usize,
}

/// Received pairs are byte ranges of the received text, because every call parses a query and reads
/// few of its pairs.
#[derive(Clone, Debug)]
enum PairText {
    Received(std::ops::Range<usize>),
    Encoded(String),
}

impl QueryPair {
    fn encode(name: &str, value: &str) -> Self {
        let name = encode(name);
        let text = PairText::Encoded(format!("{name}={}", encode(value)));
        Self { text, name_length: name.len() }
    }
}

/// A query string that preserves order and duplicates.
///
/// Names are compared decoded and case-sensitively. Invalid UTF-8 decodes to replacement characters
/// but is forwarded as received.
#[derive(Clone, Debug, Default)]
pub struct Query {
    received: String,
    pairs: Vec<QueryPair>,
}

/// Up to this number of pairs, comparing all pairs with each other is faster than a hash set.
const MAX_PAIRWISE: usize = 32;

/// Returns whether an encoded name is this name.
fn is_encoding_of(raw: &str, name: &str) -> bool {
    // Decoding never makes a text longer.
    raw.len() >= name.len() && if is_encoded(raw) { decode(raw) == name } else { raw == name }
}

fn is_encoded(raw: &str) -> bool {
    raw.bytes().any(|byte| byte == b'%' || byte == b'+')
}

impl Query {
    /// Parses a raw query string. Only `&` separates pairs (BBB does not treat `;` as a separator);
    /// empty pieces are dropped.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut query = Self { received: raw.to_owned(), pairs: Vec::new() };
        query.add_pairs(0);
        query
    }

    /// Adds a pair for each piece of the received text after the byte offset `from`.
    fn add_pairs(&mut self, from: usize) {
        let mut start = from;
        for piece in self.received[from..].split('&') {
            let end = start + piece.len();
            if !piece.is_empty() {
                let name_length = piece.find('=').unwrap_or(piece.len());
                self.pairs.push(QueryPair { text: PairText::Received(start..end), name_length });
            }
            start = end + 1;
        }
    }

    fn pair_text<'a>(&'a self, pair: &'a QueryPair) -> &'a str {
        match &pair.text {
            PairText::Received(range) => &self.received[range.clone()],
            PairText::Encoded(text) => text,
        }
    }

    fn raw_name<'a>(&'a self, pair: &'a QueryPair) -> &'a str {
        &self.pair_text(pair)[..pair.name_length]
    }

    fn raw_value<'a>(&'a self, pair: &'a QueryPair) -> &'a str {
        let rest = &self.pair_text(pair)[pair.name_length..];
        rest.strip_prefix('=').unwrap_or(rest)
    }

    fn pair_name<'a>(&'a self, pair: &'a QueryPair) -> Cow<'a, str> {
        decode(self.raw_name(pair))
    }

    fn pair_value<'a>(&'a self, pair: &'a QueryPair) -> Cow<'a, str> {
        decode(self.raw_value(pair))
    }

    fn is_named(&self, pair: &QueryPair, name: &str) -> bool {
        is_encoding_of(self.raw_name(pair), name)
    }

    /// Returns the decoded value of the last pair with this name. The original Scalelite uses the
    /// last value of a repeated name as well, and its front-ends must keep working.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let pair = self.find_last(name)?;
        Some(self.pair_value(pair))
    }

    /// Returns whether the value returned by [`Self::get`] is valid UTF-8, or absent. Invalid
    /// values are forwarded unchanged, but different ones may decode to the same text.
    #[must_use]
    pub fn is_utf8(&self, name: &str) -> bool {
        self.find_last(name)
            .is_none_or(|pair| std::str::from_utf8(&decode_bytes(self.raw_value(pair))).is_ok())
    }

    fn find_last(&self, name: &str) -> Option<&QueryPair> {
        self.pairs.iter().rev().find(|pair| self.is_named(pair, name))
    }

    /// Returns the decoded value of the first pair with this name in any case (ASCII).
    #[must_use]
    pub fn get_ignoring_case(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut pairs = self.pairs.iter();
        let pair = pairs.find(|pair| self.pair_name(pair).eq_ignore_ascii_case(name))?;
        Some(self.pair_value(pair))
    }

    /// Returns whether any pair has this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| self.is_named(pair, name))
    }

    /// Sets the only value of a name. The pair replaces the first pair with this name, or is
    /// appended.
    pub fn set(&mut self, name: &str, value: &str) {
        let pair = QueryPair::encode(name, value);
        match self.pairs.iter().position(|pair| self.is_named(pair, name)) {
            None => self.pairs.push(pair),
            Some(first) => {
                let rest = self.pairs.split_off(first + 1);
                self.pairs[first] = pair;
                let other_pairs = rest.into_iter().filter(|pair| !self.is_named(pair, name));
                let other_pairs: Vec<QueryPair> = other_pairs.collect();
                self.pairs.extend(other_pairs);
            }
        }
    }

    /// Appends a pair, even if the name already exists.
    pub fn push(&mut self, name: &str, value: &str) {
        self.pairs.push(QueryPair::encode(name, value));
    }

    /// Removes all pairs with this name.
    pub fn remove(&mut self, name: &str) {
        self.retain(|pair_name| pair_name != name);
    }

    /// Removes all pairs for whose name `keep` returns false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let pairs = std::mem::take(&mut self.pairs);
        self.pairs = pairs.into_iter().filter(|pair| keep(&self.pair_name(pair))).collect();
    }

    /// Keeps only the last pair of each name. Repeatable names keep all their pairs.
    pub fn keep_last(&mut self, repeatable: impl Fn(&str) -> bool) {
        let names: Vec<Cow<'_, str>> = self.pairs.iter().map(|pair| self.pair_name(pair)).collect();
        let mut seen = HashSet::new();
        let mut keep = vec![true; names.len()];
        for (index, name) in names.iter().enumerate().rev() {
            let repeated = if names.len() <= MAX_PAIRWISE {
                names[index + 1..].contains(name)
            } else {
                !seen.insert(name)
            };
            keep[index] = !repeated || repeatable(name);
        }
        drop(names);
        if keep.contains(&false) {
            let mut keep = keep.into_iter();
            self.pairs.retain(|_| keep.next().unwrap_or(true));
        }
    }

    /// Appends the pairs of another query, in their order and encoding.
    pub fn append(&mut self, other: &Self) {
        let from = self.received.len();
        for pair in &other.pairs {
            self.received.push_str(other.pair_text(pair));
            self.received.push('&');
        }
        self.add_pairs(from);
    }

    /// Iterates over the decoded names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.pairs.iter().map(|pair| (self.pair_name(pair), self.pair_value(pair)))
    }

    /// Returns the number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns the encoded query string. Bytes that are not allowed in a request target (controls,
    /// blanks, quotes, `#`, `|`, brackets, non-ASCII…) are percent-encoded; all others are as received.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.received.len() + 64);
        for pair in &self.pairs {
            if !text.is_empty() {
                text.push('&');
            }
            push_escaped(&mut text, self.pair_text(pair));
        }
        text
    }
}

/// Encodes a text as `application/x-www-form-urlencoded`, with `+` for a blank. This is the only
/// encoding that every BBB release hashes as sent.
#[must_use]
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Decodes a name or value: `+` becomes a blank, invalid percent escapes stay as they are, and
/// invalid UTF-8 becomes replacement characters.
#[must_use]
pub fn decode(raw: &str) -> Cow<'_, str> {
    match decode_bytes(raw) {
        Cow::Borrowed(_) => Cow::Borrowed(raw),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn decode_bytes(raw: &str) -> Cow<'_, [u8]> {
    if !is_encoded(raw) {
        return Cow::Borrowed(raw.as_bytes());
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            _ => bytes.push(*byte),
        }
    }
    Cow::Owned(bytes)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Returns whether a byte is allowed in the query of a request target (RFC 3986). Tomcat answers 400 to
/// the others; BBB hashes the query as it receives it, so an escape that is signed is as good.
fn is_query_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte)
}

fn push_escaped(text: &mut String, raw: &str) {
    if raw.bytes().all(is_query_byte) {
        text.push_str(raw);
        return;
    }
    for byte in raw.bytes() {
        if is_query_byte(byte) {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push_str(&hex::encode_upper([byte]));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edits_leave_other_bytes_unchanged() {
        let mut query = Query::parse("b=%c3%bc&a=1+2&&userdata-x=1&userdata-x=2&a=3&e");
        query.set("a", "ä b");
        assert_eq!(query.to_text(), "b=%c3%bc&a=%C3%A4+b&userdata-x=1&userdata-x=2&e");
        query.remove("b");
        query.set("new", "n&w");
        assert_eq!(query.to_text(), "a=%C3%A4+b&userdata-x=1&userdata-x=2&e&new=n%26w");
    }

    #[test]
    fn the_last_value_of_a_repeated_name_is_used() {
        let mut query = Query::parse("a=1&u=1&a=2&u=2");
        assert_eq!(query.get("a").as_deref(), Some("2"));
        query.keep_last(|name| name == "u");
        assert_eq!(query.to_text(), "u=1&a=2&u=2");
    }

    #[test]
    fn decoding_is_lenient() {
        assert_eq!(decode("a+b%20c"), "a b c");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%ff"), "\u{fffd}");
        assert!(!Query::parse("a=%ff").is_utf8("a") && Query::parse("a=%c3%bc+").is_utf8("a"));
        assert_eq!(Query::parse("x;y=1").get("x;y").as_deref(), Some("1"));
        assert_eq!(Query::parse("record").get("record").as_deref(), Some(""));
    }

    #[test]
    fn illegal_bytes_are_percent_encoded() {
        assert_eq!(Query::parse("a=\"<ü>\u{1}#").to_text(), "a=%22%3C%C3%BC%3E%01%23");
    }

    proptest! {
        #[test]
        fn names_are_compared_decoded(raw in "[ab%+26]{0,8}", name in "[ab &+%]{0,4}") {
            prop_assert_eq!(is_encoding_of(&raw, &name), decode(&raw) == name);
            prop_assert!(is_encoding_of(&encode(&name), &name));
        }

        #[test]
        fn encoding_round_trips(name in ".*", value in ".*") {
            let mut query = Query::default();
            query.set(&name, &value);
            let parsed = Query::parse(&query.to_text());
            prop_assert_eq!(parsed.get(&name).unwrap_or_default(), value);
        }

        #[test]
        fn printable_queries_stay_unchanged(raw in "[a-zA-Z0-9%+=;.~_-]{1,20}(&[a-zA-Z0-9%+=;.~_-]{1,20}){0,8}") {
            prop_assert_eq!(Query::parse(&raw).to_text(), raw);
        }

        #[test]
        fn an_edit_changes_only_its_own_pair(
            raw in "[b-z]{1,4}=[b-z%+]{0,4}(&[b-z]{1,4}=[b-z%+]{0,4}){0,6}", value in ".*",
        ) {
            let mut query = Query::parse(&raw);
            query.set("A", &value);
            query.remove("A");
            prop_assert_eq!(query.to_text(), raw);
        }

        #[test]
        fn many_pairs_are_treated_like_few(names in proptest::collection::vec(0..9u8, 0..80)) {
            let pairs: Vec<String> =
                names.iter().enumerate().map(|(index, name)| format!("n{name}={index}")).collect();
            let mut query = Query::parse(&pairs.join("&"));
            query.keep_last(|name| name == "n0");
            let is_last = |index: usize| !names[index + 1..].contains(&names[index]);
            let kept = pairs
                .iter()
                .enumerate()
                .filter(|(index, _)| names[*index] == 0 || is_last(*index));
            let kept: Vec<&str> = kept.map(|(_, pair)| pair.as_str()).collect();
            prop_assert_eq!(query.to_text(), kept.join("&"));
        }

        #[test]
        fn nothing_panics(raw in "\\PC*") {
            let mut query = Query::parse(&raw);
            query.keep_last(|_| false);
            let text = query.to_text();
            prop_assert!(text.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
        }
    }
}
