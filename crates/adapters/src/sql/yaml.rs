//! The attributes of a callback in the form in which the original stores them: a YAML mapping whose
//! keys are Ruby symbols. What is written here, Ruby reads back as the same text.

use std::fmt;

use app::ports::StoreError;
use serde::de::{MapAccess, Visitor};

/// Longer keys are introduced by `? `: readers expect the colon of a simple key close to its
/// beginning.
const MAX_SIMPLE_KEY: usize = 120;

/// Writes attributes in their order.
///
/// # Errors
/// When the YAML library cannot write them.
pub(super) fn write(attributes: &[(String, String)]) -> Result<String, StoreError> {
    if attributes.is_empty() {
        return Ok("--- {}\n".to_owned());
    }
    let mut text = "---\n".to_owned();
    for (name, value) in attributes {
        let is_identifier = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.starts_with(|first: char| first.is_ascii_alphabetic());
        let symbol = format!(":{name}");
        let key = if is_identifier { symbol } else { write_scalar(&symbol)? };
        let value = write_scalar(value)?;
        text.push_str(&match key.len() {
            0..=MAX_SIMPLE_KEY => format!("{key}: {value}\n"),
            _ => format!("? {key}\n: {value}\n"),
        });
    }
    Ok(text)
}

/// Writes a text as a scalar on one line. Ruby takes more plain scalars for numbers, times and
/// symbols than the library expects, but none that begins with a letter: all others are quoted.
fn write_scalar(text: &str) -> Result<String, StoreError> {
    let quote_all = !text.starts_with(|first: char| first.is_ascii_alphabetic());
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false, quote_all: quote_all };
    let mut written = serde_saphyr::to_string_with_options(&text, options)
        .map_err(|error| StoreError::Corrupt(format!("attributes of a callback: {error}")))?;
    written.truncate(written.trim_end_matches('\n').len());
    Ok(written)
}

/// Reads attributes, however they are quoted. An empty text has none; attributes without a value
/// are left out.
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
        let mut attributes = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
            if let Some(value) = value {
                let name = key.strip_prefix(':').unwrap_or(&key);
                attributes.push((name.to_owned(), value));
            }
        }
        Ok(CallbackAttributes(attributes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_attributes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    const TWO_ATTRIBUTES: [(&str, &str); 2] = [
        ("analytics_callback_url", "https://app.example.test/stats"),
        ("recording_ready_url", "https://app.example.test/ready?x=1&y=ü"),
    ];

    #[test]
    fn attributes_are_read_and_written_as_the_original_writes_them() {
        let text = "---\n:analytics_callback_url: https://app.example.test/stats\n\
            :recording_ready_url: https://app.example.test/ready?x=1&y=ü\n";
        assert_eq!(read(text).unwrap(), to_attributes(&TWO_ATTRIBUTES));
        assert_eq!(write(&to_attributes(&TWO_ATTRIBUTES)).unwrap(), text);
        assert_eq!(read("").unwrap(), []);
        assert_eq!(read(&write(&[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn other_forms_are_read() {
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
    fn text_that_ruby_reads_as_another_type_is_quoted() {
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
            "0:30",
            "1,000",
            "-2024-01-01 10:00:00",
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
            let text = write(&to_attributes(&[("url", value)])).unwrap();
            let written = text.strip_prefix("---\n:url: ").unwrap();
            assert!(written.starts_with(['"', '\'']), "{value:?} as {text}");
            assert!(!text.contains('\0'));
            assert_eq!(read(&text), Ok(to_attributes(&[("url", value)])), "{text}");
        }
        let long = to_attributes(&[(&"a".repeat(5_000), "b"), (&"a: ".repeat(5_000), "c")]);
        assert_eq!(read(&write(&long).unwrap()), Ok(long));
        for value in ["https://a/b?c=d&e=f%20g#h", "a, b", "a:b", "http://a/[b]{c}"] {
            let text = write(&to_attributes(&[("url", value)])).unwrap();
            assert_eq!(text, format!("---\n:url: {value}\n"));
        }
    }

    proptest! {
        #[test]
        fn written_attributes_are_read_back(key in any::<String>(), value in any::<String>()) {
            let written = vec![(key, value)];
            prop_assert_eq!(read(&write(&written).unwrap()), Ok(written));
        }
    }
}
