//! Query strings as they came: order, duplicates and spelling are kept, and an edit leaves every
//! other byte alone, because BigBlueButton signs the bytes and not their meaning.

use std::borrow::Cow;
use std::collections::HashSet;

/// One `name=value` of a query string, in the bytes that came (or that we encoded), without the
/// separating `&`. Received pairs are ranges of one text: a query is read on every call, and most
/// of its pairs are never looked at.
#[derive(Clone, Debug)]
enum QueryPair {
    Received(std::ops::Range<usize>),
    Encoded(String),
}

/// An ordered, duplicate-preserving query string.
///
/// Names are compared decoded and case-sensitively; invalid UTF-8 decodes to replacement
/// characters but is forwarded as it was received.
#[derive(Clone, Debug, Default)]
pub struct Query {
    received: String,
    pairs: Vec<QueryPair>,
}

/// Up to so many pairs, comparing each with each is faster than a set.
const MAX_PAIRWISE: usize = 32;

fn split_pair(raw: &str) -> (&str, &str) {
    raw.split_once('=').unwrap_or((raw, ""))
}

impl Query {
    /// Splits at `&` only (`;` is no separator for BBB) and drops empty pieces.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let mut query = Self { received: raw.to_owned(), pairs: Vec::new() };
        query.add_pairs(0);
        query
    }

    /// Adds a pair for each piece of the received text from there on.
    fn add_pairs(&mut self, from: usize) {
        let mut start = from;
        for piece in self.received[from..].split('&') {
            let end = start + piece.len();
            if !piece.is_empty() {
                self.pairs.push(QueryPair::Received(start..end));
            }
            start = end + 1;
        }
    }

    fn pair_text<'a>(&'a self, pair: &'a QueryPair) -> &'a str {
        match pair {
            QueryPair::Received(range) => &self.received[range.clone()],
            QueryPair::Encoded(text) => text,
        }
    }

    fn pair_name<'a>(&'a self, pair: &'a QueryPair) -> Cow<'a, str> {
        decode(split_pair(self.pair_text(pair)).0)
    }

    fn pair_value<'a>(&'a self, pair: &'a QueryPair) -> Cow<'a, str> {
        decode(split_pair(self.pair_text(pair)).1)
    }

    /// The decoded value of the last pair of that name: where a name is repeated, the last one
    /// counts (as in the original, whose front-ends this must serve).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let found = self.pairs.iter().rev().find(|pair| self.pair_name(pair) == name)?;
        Some(self.pair_value(found))
    }

    /// Whether the value that counts of that name is text at all: other bytes are passed on as they
    /// are, but two different ones would look alike to us.
    #[must_use]
    pub fn is_utf8(&self, name: &str) -> bool {
        let found = self.pairs.iter().rev().find(|pair| self.pair_name(pair) == name);
        found.is_none_or(|pair| {
            std::str::from_utf8(&decode_bytes(split_pair(self.pair_text(pair)).1)).is_ok()
        })
    }

    /// Whether any pair has that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| self.pair_name(pair) == name)
    }

    /// Gives the name exactly one value, at the place of its first pair or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let pair = QueryPair::Encoded(format!("{}={}", encode(name), encode(value)));
        match self.pairs.iter().position(|pair| self.pair_name(pair) == name) {
            None => self.pairs.push(pair),
            Some(first) => {
                let rest = self.pairs.split_off(first + 1);
                self.pairs[first] = pair;
                let others = rest.into_iter().filter(|pair| self.pair_name(pair) != name);
                let others: Vec<QueryPair> = others.collect();
                self.pairs.extend(others);
            }
        }
    }

    /// Appends a pair, whether there is one of that name or not.
    pub fn push(&mut self, name: &str, value: &str) {
        self.pairs.push(QueryPair::Encoded(format!("{}={}", encode(name), encode(value))));
    }

    /// Removes every pair of that name.
    pub fn remove(&mut self, name: &str) {
        self.retain(|other| other != name);
    }

    /// Removes every pair whose name the filter refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        let pairs = std::mem::take(&mut self.pairs);
        self.pairs = pairs.into_iter().filter(|pair| keep(&self.pair_name(pair))).collect();
    }

    /// Keeps only the last pair of each name, except of names that are meant to be repeated.
    pub fn keep_last(&mut self, repeatable: impl Fn(&str) -> bool) {
        let names: Vec<Cow<'_, str>> = self.pairs.iter().map(|pair| self.pair_name(pair)).collect();
        let mut seen = HashSet::new();
        let mut keep = vec![true; names.len()];
        for (at, name) in names.iter().enumerate().rev() {
            let repeated = if names.len() <= MAX_PAIRWISE {
                names[at + 1..].contains(name)
            } else {
                !seen.insert(name)
            };
            keep[at] = !repeated || repeatable(name);
        }
        drop(names);
        if keep.contains(&false) {
            let mut kept = keep.into_iter();
            self.pairs.retain(|_| kept.next().unwrap_or(true));
        }
    }

    /// Appends the pairs of another query, in their order and spelling.
    pub fn append(&mut self, other: &Self) {
        let from = self.received.len();
        for pair in &other.pairs {
            self.received.push_str(other.pair_text(pair));
            self.received.push('&');
        }
        self.add_pairs(from);
    }

    /// The pairs, decoded, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.pairs.iter().map(|pair| (self.pair_name(pair), self.pair_value(pair)))
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is no pair at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The query string. Bytes that may not stand in a request target (controls, blanks, quotes,
    /// `#`, non-ASCII…) are percent-encoded; all others are as received.
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

/// `application/x-www-form-urlencoded`, with `+` for a blank: the one spelling that every BBB
/// release hashes as it was sent.
#[must_use]
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// `+` is a blank; broken percent escapes stand for themselves; invalid UTF-8 is replaced.
#[must_use]
pub fn decode(raw: &str) -> Cow<'_, str> {
    match decode_bytes(raw) {
        Cow::Borrowed(_) => Cow::Borrowed(raw),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn decode_bytes(raw: &str) -> Cow<'_, [u8]> {
    if !raw.bytes().any(|byte| byte == b'%' || byte == b'+') {
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

/// Whether a byte may stand in the query of a request target.
fn is_query_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e)
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
    fn edits_leave_the_other_bytes_alone() {
        let mut query = Query::parse("b=%c3%bc&a=1+2&&userdata-x=1&userdata-x=2&a=3&e");
        query.set("a", "ä b");
        assert_eq!(query.to_text(), "b=%c3%bc&a=%C3%A4+b&userdata-x=1&userdata-x=2&e");
        query.remove("b");
        query.set("new", "n&w");
        assert_eq!(query.to_text(), "a=%C3%A4+b&userdata-x=1&userdata-x=2&e&new=n%26w");
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
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
    fn a_target_never_carries_illegal_bytes() {
        assert_eq!(Query::parse("a=\"<ü>\u{1}#").to_text(), "a=%22%3C%C3%BC%3E%01%23");
    }

    proptest! {
        #[test]
        fn encoding_round_trips(name in ".*", value in ".*") {
            let mut query = Query::default();
            query.set(&name, &value);
            let read = Query::parse(&query.to_text());
            prop_assert_eq!(read.get(&name).unwrap_or_default(), value);
        }

        #[test]
        fn printable_queries_survive_unchanged(raw in "[a-zA-Z0-9%+=;.~_-]{1,20}(&[a-zA-Z0-9%+=;.~_-]{1,20}){0,8}") {
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
        fn many_pairs_are_treated_as_few(names in proptest::collection::vec(0..9u8, 0..80)) {
            let pairs: Vec<String> =
                names.iter().enumerate().map(|(at, name)| format!("n{name}={at}")).collect();
            let mut query = Query::parse(&pairs.join("&"));
            query.keep_last(|name| name == "n0");
            let last = |at: usize| !names[at + 1..].contains(&names[at]);
            let kept = pairs.iter().enumerate().filter(|(at, _)| names[*at] == 0 || last(*at));
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
