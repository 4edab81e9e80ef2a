//! A quick look at elements that need no repair, which are nearly all: their tags have no attributes, and
//! their texts no references.

use crate::xml::MAX_DEPTH;

/// Returns the length of the element that the text begins with if it is certainly well-formed, `None` if
/// it takes a closer look to know.
pub(super) fn measure_plain_element(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<&[u8]> = Vec::with_capacity(8);
    let mut position = 0;
    loop {
        let tag = bytes.get(position..)?.strip_prefix(b"<")?;
        position += 1;
        if let Some(rest) = tag.strip_prefix(b"/") {
            let name = open.pop()?;
            rest.strip_prefix(name)?.strip_prefix(b">")?;
            position += name.len() + 2;
        } else {
            let name = &tag[..measure_name(tag)?];
            match tag[name.len()..] {
                [b'>', ..] => {
                    open.push(name);
                    position += name.len() + 1;
                }
                [b'/', b'>', ..] => position += name.len() + 2,
                _ => return None,
            }
        }
        if open.is_empty() {
            return Some(position);
        }
        if open.len() > MAX_DEPTH {
            return None;
        }
        position += bytes[position..].iter().position(|byte| !is_plain_text(*byte))?;
    }
}

/// Returns the length of the name, in ASCII and without a prefix, that the bytes begin with.
fn measure_name(bytes: &[u8]) -> Option<usize> {
    bytes.first().filter(|byte| byte.is_ascii_alphabetic() || **byte == b'_')?;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    bytes.iter().position(|byte| !is_part(byte))
}

/// Whether a byte is text in any surroundings. Characters that XML does not allow are either controls or
/// begin with the byte EF.
fn is_plain_text(byte: u8) -> bool {
    match byte {
        b'<' | b'>' | b'&' | 0xef => false,
        b'\t' | b'\n' | b'\r' => true,
        _ => byte >= b' ',
    }
}
