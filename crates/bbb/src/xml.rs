//! A bounded walk over an XML document from outside: no DTD, no entities beyond the five predefined
//! ones, and a limit on depth. It accepts some documents that are not well-formed, such as those with
//! names that XML does not allow; what is passed on to clients is made well-formed first
//! ([`crate::repair`]).

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::grammar::resolve_entity;

/// Maximum depth of elements. The deepest ones in responses of BBB, the metadata elements of
/// attendees, are at depth 7.
pub(crate) const MAX_DEPTH: usize = 32;

/// One step of the walk. Offsets are in bytes.
pub(crate) enum XmlStep<'a, 't> {
    /// An opening tag: its name and the offset of its `<`.
    Open(&'a str, usize),
    /// An attribute of the last opening tag: its name and decoded value.
    Attribute(&'t str, &'t str),
    /// Decoded text.
    Text(&'t str),
    /// The end of an element: the offset after its `>`.
    Close(usize),
}

/// Walks a complete document. The visitor may stop the walk by returning false.
///
/// # Errors
/// When the document is not acceptable: a short reason that contains no text of the document.
pub(crate) fn walk<'a>(
    text: &'a str,
    mut visit: impl FnMut(XmlStep<'a, '_>) -> bool,
) -> Result<(), &'static str> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut roots) = (0_usize, 0_usize);
    loop {
        let start = offset(&reader);
        let event = reader.read_event().map_err(|_| "not well formed")?;
        let should_continue = match event {
            Event::Start(ref tag) | Event::Empty(ref tag) if !has_valid_attributes(tag) => {
                return Err("bad attributes");
            }
            Event::Start(tag) => {
                depth += 1;
                roots += usize::from(depth == 1);
                if depth > MAX_DEPTH || roots > 1 {
                    return Err("nested too deeply, or more than one root");
                }
                visit(XmlStep::Open(slice_tag_name(text, start, tag.name().0), start))
                    && visit_attributes(&tag, &mut visit)
            }
            Event::Empty(tag) => {
                roots += usize::from(depth == 0);
                if depth >= MAX_DEPTH || roots > 1 {
                    return Err("nested too deeply, or more than one root");
                }
                visit(XmlStep::Open(slice_tag_name(text, start, tag.name().0), start))
                    && visit_attributes(&tag, &mut visit)
                    && visit(XmlStep::Close(offset(&reader)))
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or("not well formed")?;
                visit(XmlStep::Close(offset(&reader)))
            }
            Event::Text(piece) => visit_text(depth, &piece.xml10_content(), &mut visit)?,
            Event::CData(piece) => visit_text(depth, &piece.xml10_content(), &mut visit)?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => character,
                    Ok(None) => {
                        resolve_entity(&reference.xml10_content()).ok_or("unknown entity")?
                    }
                    Err(_) => return Err("bad character reference"),
                };
                visit_text(depth, character.encode_utf8(&mut [0; 4]), &mut visit)?
            }
            Event::DocType(_) => return Err("has a document type"),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => true,
            Event::Eof if depth == 0 && roots == 1 => return Ok(()),
            Event::Eof => return Err("cut off"),
        };
        if !should_continue {
            return Ok(());
        }
    }
}

/// Returns whether all attributes are quoted, unique, and free of markup.
fn has_valid_attributes(tag: &BytesStart<'_>) -> bool {
    tag.attributes().all(|attribute| {
        attribute.is_ok_and(|attribute| {
            !attribute.value.contains('<')
                && attribute.normalized_value(XmlVersion::Explicit1_0).is_ok()
        })
    })
}

/// Visits the attributes of a tag; [`has_valid_attributes`] has accepted them.
fn visit_attributes<'a>(
    tag: &BytesStart<'_>,
    visit: &mut impl FnMut(XmlStep<'a, '_>) -> bool,
) -> bool {
    tag.attributes().flatten().all(|attribute| {
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).unwrap_or_default();
        visit(XmlStep::Attribute(attribute.key.0, &value))
    })
}

/// Returns the name of the tag that starts at this offset, borrowed from the text instead of the
/// reader.
fn slice_tag_name<'a>(text: &'a str, start: usize, name: &str) -> &'a str {
    text.get(start + 1..start + 1 + name.len()).unwrap_or_default()
}

fn offset(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn visit_text<'a>(
    depth: usize,
    text: &str,
    visit: &mut impl FnMut(XmlStep<'a, '_>) -> bool,
) -> Result<bool, &'static str> {
    match depth {
        0 if text.trim().is_empty() => Ok(true),
        0 => Err("text outside of the root"),
        _ => Ok(visit(XmlStep::Text(text))),
    }
}
