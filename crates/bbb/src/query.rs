//! Query strings as they came: order, duplicates and spelling are kept, and an edit leaves every
//! other byte alone, because BigBlueButton signs the bytes and not their meaning.

use std::borrow::Cow;
use std::collections::HashSet;

/// One `name=value` of a query string.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    /// The bytes as they came (or as we encoded them), without the separating `&`.
    raw: String,
    /// The decoded name.
    name: String,
}

impl Pair {
    fn received(raw: &str) -> Self {
        let name = raw.split_once('=').map_or(raw, |(name, _)| name);
        Self { raw: raw.to_owned(), name: decode(name).into_owned() }
    }

    fn encoded(name: &str, value: &str) -> Self {
        let raw = format!("{}={}", encode(name), encode(value));
        Self { raw, name: name.to_owned() }
    }

    fn value(&self) -> Cow<'_, str> {
        self.raw.split_once('=').map_or(Cow::Borrowed(""), |(_, value)| decode(value))
    }
}

/// An ordered, duplicate-preserving query string.
///
/// Names are compared decoded and case-sensitively; invalid UTF-8 decodes to replacement
/// characters but is forwarded as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<Pair>,
}

impl Query {
    /// Splits at `&` only (`;` is no separator for BBB) and drops empty pieces.
    #[must_use]
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|piece| !piece.is_empty()).map(Pair::received);
        Self { pairs: pairs.collect() }
    }

    /// The decoded value of the last pair of that name: where a name is repeated, the last one
    /// counts (as in the original, whose front-ends this must serve).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        self.pairs.iter().rev().find(|pair| pair.name == name).map(Pair::value)
    }

    /// Whether any pair has that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.pairs.iter().any(|pair| pair.name == name)
    }

    /// Gives the name exactly one value, at the place of its first pair or at the end.
    pub fn set(&mut self, name: &str, value: &str) {
        let Some(first) = self.pairs.iter().position(|pair| pair.name == name) else {
            self.pairs.push(Pair::encoded(name, value));
            return;
        };
        self.pairs[first] = Pair::encoded(name, value);
        let mut index = 0;
        self.pairs.retain(|pair| {
            index += 1;
            index - 1 <= first || pair.name != name
        });
    }

    /// Removes every pair of that name.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|pair| pair.name != name);
    }

    /// Removes every pair whose name the filter refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.pairs.retain(|pair| keep(&pair.name));
    }

    /// Keeps only the last pair of each name, except of names that are meant to be repeated.
    pub fn keep_last(&mut self, repeatable: impl Fn(&str) -> bool) {
        let mut seen = HashSet::new();
        let mut kept: Vec<Pair> = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.drain(..).rev() {
            if repeatable(&pair.name) || seen.insert(pair.name.clone()) {
                kept.push(pair);
            }
        }
        kept.reverse();
        self.pairs = kept;
    }

    /// Appends the pairs of another query, in their order and spelling.
    pub fn append(&mut self, other: Self) {
        self.pairs.extend(other.pairs);
    }

    /// The pairs, decoded, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.pairs.iter().map(|pair| (pair.name.as_str(), pair.value()))
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
        let mut text = String::with_capacity(self.pairs.iter().map(|p| p.raw.len() + 1).sum());
        for pair in &self.pairs {
            if !text.is_empty() {
                text.push('&');
            }
            push_safe(&mut text, &pair.raw);
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
    if !raw.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(raw);
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
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn push_safe(text: &mut String, raw: &str) {
    for character in raw.chars() {
        match character {
            '\u{21}' | '\u{24}'..='\u{3b}' | '\u{3d}' | '\u{3f}'..='\u{7e}' => text.push(character),
            _ => {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    text.push('%');
                    text.push_str(&hex::encode_upper([byte]));
                }
            }
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
        fn nothing_panics(raw in "\\PC*") {
            let mut query = Query::parse(&raw);
            query.keep_last(|_| false);
            let text = query.to_text();
            prop_assert!(text.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
        }
    }
}
