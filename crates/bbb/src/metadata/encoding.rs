//! Decodes a metadata file: UTF-8, or what its byte order mark or its XML declaration names.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The XML declaration lies within this many bytes.
const MAX_DECLARATION_BYTES: usize = 256;

/// Decodes a file. Bytes that its encoding does not know become replacement characters.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    find_encoding(bytes).decode(bytes).0
}

/// Returns the encoding without a byte order mark; [`Encoding::decode`] heeds such a mark itself.
fn find_encoding(bytes: &[u8]) -> &'static Encoding {
    // The first two characters of the declaration, `<?`, in UTF-16.
    match bytes {
        [b'<', 0, b'?', 0, ..] => return UTF_16LE,
        [0, b'<', 0, b'?', ..] => return UTF_16BE,
        _ => {}
    }
    let start = &bytes[..bytes.len().min(MAX_DECLARATION_BYTES)];
    let named = declared_encoding(start).and_then(Encoding::for_label);
    // A file whose declaration can be read byte by byte is not in UTF-16, whatever it says.
    named.filter(|named| *named != UTF_16LE && *named != UTF_16BE).unwrap_or(UTF_8)
}

/// Returns the name of the encoding in an XML declaration, if there is one.
fn declared_encoding(start: &[u8]) -> Option<&[u8]> {
    let declaration = start.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = &declaration[..end];
    let name = b"encoding";
    let found = declaration.windows(name.len()).position(|part| part == name)?;
    let value = declaration[found + name.len()..].trim_ascii_start().strip_prefix(b"=")?;
    let (quote, value) = value.trim_ascii_start().split_first()?;
    let is_quoted = matches!(quote, b'"' | b'\'');
    let length = value.iter().position(|byte| byte == quote).filter(|_| is_quoted)?;
    Some(&value[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn declared_encodings_are_decoded() {
        for name in ["ISO-8859-1", "iso-8859-1", "windows-1252", "latin1"] {
            let head = format!("<?xml version='1.0' encoding = '{name}'?><a>");
            let text = decode(&[head.as_bytes(), b"\xdcbung"].concat()).into_owned();
            assert!(text.ends_with("<a>Übung"), "{name}: {text}");
        }
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Übung 🫖</a>";
        assert_eq!(decode(&utf_16(text, u16::to_le_bytes)), text);
        assert_eq!(decode(&utf_16(text, u16::to_be_bytes)), text);
        let marked = format!("\u{feff}{text}");
        assert_eq!(decode(&utf_16(&marked, u16::to_le_bytes)), text);
        assert_eq!(decode(&utf_16(&marked, u16::to_be_bytes)), text);
    }

    #[test]
    fn everything_else_is_utf_8() {
        for text in [
            "<a>Ü</a>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Ü</a>",
            "<?xml version=\"1.0\" encoding=\"klingon\"?><a>Ü</a>",
            "<?xml version=\"1.0\" encoding=\"utf-8?><a>Ü</a>",
            "<a encoding=\"latin1\">Ü</a>",
        ] {
            assert_eq!(decode(text.as_bytes()), text);
        }
        assert_eq!(decode("\u{feff}<a/>".as_bytes()), "<a/>");
        assert_eq!(decode(b"<a>\xff</a>"), "<a>\u{fffd}</a>");
    }
}
