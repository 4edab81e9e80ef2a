//! The form in which the original keeps the attributes of a callback: a YAML mapping whose keys are
//! Ruby's symbols, as Ruby writes it. What is written here, Ruby reads back as the same text.

use std::fmt;

use serde::de::{MapAccess, Visitor};

/// Words that YAML 1.1, which Ruby speaks, does not take for text.
const RESERVED_WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Longer names need a mark before them, so that readers look for the colon after them.
const MAX_SIMPLE_KEY: usize = 120;

/// Writes attributes in their order.
pub(super) fn write(attributes: &[(String, String)]) -> String {
    if attributes.is_empty() {
        return "--- {}\n".to_owned();
    }
    let mut text = "---\n".to_owned();
    for (key, value) in attributes {
        let plain = key.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
            && key.starts_with(|first: char| first.is_ascii_alphabetic());
        let symbol = format!(":{key}");
        let key = if plain { symbol } else { quote(&symbol) };
        let value = if is_plain(value) { value.clone() } else { quote(value) };
        text.push_str(&match key.len() {
            0..=MAX_SIMPLE_KEY => format!("{key}: {value}\n"),
            _ => format!("? {key}\n: {value}\n"),
        });
    }
    text
}

/// Whether a text without quotes is this text in every reader's eyes: narrow rather than clever.
fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.ends_with([':', ' '])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(is_special)
        && !RESERVED_WORDS.contains(&text.to_ascii_lowercase().as_str())
}

fn is_special(one: char) -> bool {
    // Line ends of YAML 1.1, the byte order mark, and what is no character at all.
    one.is_control()
        || matches!(one, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn quote(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for one in text.chars() {
        match one {
            '"' | '\\' => quoted.extend(['\\', one]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            one if is_special(one) => quoted.push_str(&format!("\\u{:04x}", u32::from(one))),
            one => quoted.push(one),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads attributes, however they are quoted; none from an empty text.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, ()> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let read: Result<CallbackAttributes, _> = serde_saphyr::from_str(text);
    read.map(|attributes| attributes.0).map_err(drop)
}

struct CallbackAttributes(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for CallbackAttributes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AttributesVisitor)
    }
}

struct AttributesVisitor;

impl<'de> Visitor<'de> for AttributesVisitor {
    type Value = CallbackAttributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
            if let Some(value) = value {
                let name = key.strip_prefix(':').unwrap_or(&key);
                pairs.push((name.to_owned(), value));
            }
        }
        Ok(CallbackAttributes(pairs))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_attributes(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    const TWO_ATTRIBUTES: [(&str, &str); 2] = [
        ("analytics_callback_url", "https://app.example.test/stats"),
        ("recording_ready_url", "https://app.example.test/ready?x=1&y=ü"),
    ];

    #[test]
    fn what_the_original_wrote_is_read_and_written_alike() {
        let text = "---\n:analytics_callback_url: https://app.example.test/stats\n\
            :recording_ready_url: https://app.example.test/ready?x=1&y=ü\n";
        assert_eq!(read(text).unwrap(), to_attributes(&TWO_ATTRIBUTES));
        assert_eq!(write(&to_attributes(&TWO_ATTRIBUTES)), text);
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read(&write(&[])).unwrap(), []);
    }

    #[test]
    fn other_spellings_are_read() {
        let ready = |url: &str| vec![("recording_ready_url".to_owned(), url.to_owned())];
        for text in [
            "---\n:recording_ready_url: 'http://a/b'\n",
            "---\n:recording_ready_url: \"http://a/b\"\n",
            "---\n:analytics_callback_url:\n:recording_ready_url: http://a/b\n",
            "---\nrecording_ready_url: http://a/b\n",
            "--- {\":recording_ready_url\": http://a/b}\n",
            "--- !ruby/hash:ActiveSupport::HashWithIndifferentAccess\nrecording_ready_url: http://a/b\n",
            "---\n:recording_ready_url: !ruby/string http://a/b\n",
        ] {
            assert_eq!(read(text), Ok(ready("http://a/b")), "{text}");
        }
        let folded = "---\n:recording_ready_url: http://a/b\n  c\n";
        assert_eq!(read(folded), Ok(ready("http://a/b c")));
        assert_eq!(read("---\n- a\n"), Err(()));
        assert_eq!(read("---\n:a: [\n"), Err(()));
    }

    #[test]
    fn what_ruby_would_take_for_something_else_is_quoted() {
        for value in [
            "",
            " ",
            "yes",
            "No",
            "null",
            "~",
            "1",
            "1.5",
            "1:30",
            "2024-01-01",
            ":sym",
            "a: b",
            "a #b",
            "a:",
            "- a",
            "#a",
            "a\nb",
            "a\u{0}b",
            "a\u{85}b",
            "'a'",
            "\"a\"",
            "@a",
            "!a",
            "&a",
            "*a",
            "[a]",
            "{a}",
            "%a",
            "|",
            ">",
            "`a`",
            "?",
            "a ",
            "<<",
            "=",
        ] {
            let text = write(&to_attributes(&[("url", value)]));
            assert!(text.starts_with("---\n:url: \""), "{value:?} as {text}");
            assert!(!text.contains('\0'));
            assert_eq!(read(&text), Ok(to_attributes(&[("url", value)])), "{text}");
        }
        let long = to_attributes(&[(&"a".repeat(5_000), "b"), (&"a: ".repeat(5_000), "c")]);
        assert_eq!(read(&write(&long)), Ok(long));
        for value in ["https://a/b?c=d&e=f%20g#h", "a, b", "a:b", "http://a/[b]{c}"] {
            assert_eq!(write(&to_attributes(&[("url", value)])), format!("---\n:url: {value}\n"));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(key in any::<String>(), value in any::<String>()) {
            let written = vec![(key, value)];
            prop_assert_eq!(read(&write(&written)), Ok(written));
        }
    }
}
