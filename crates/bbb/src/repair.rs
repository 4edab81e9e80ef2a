//! Makes responses well-formed before they are read in full or passed on to clients: elements whose
//! tags are not valid are dropped, and text is escaped where it must be. What is well-formed stays
//! as it is, byte for byte.

mod plain;

use std::borrow::Cow;

use self::plain::measure_plain_element;
use crate::grammar::{
    Tag, is_declaration, is_name, is_xml_char, is_xml_space, resolve_reference, split_reference,
};
use crate::markup::{Piece, Pieces};
use crate::response::escape_xml;
use crate::xml::MAX_DEPTH;

/// A well-formed element.
#[derive(Debug)]
pub(crate) struct RepairedElement<'a> {
    /// The element, borrowed if nothing had to be changed.
    pub(crate) text: Cow<'a, str>,
    /// Offset after the element in the text that it was taken from.
    pub(crate) end: usize,
    /// Whether a child of the element was dropped that had a valid name, or may have had one. What
    /// it said is lost.
    pub(crate) has_lost_fields: bool,
}

/// Repairs the element that the text begins with. Returns `None` if its opening tag is not valid,
/// if it has no end, or if it is nested too deeply.
pub(crate) fn repair_element(text: &str) -> Option<RepairedElement<'_>> {
    if let Some(end) = measure_plain_element(text) {
        let text = Cow::Borrowed(text.get(..end)?);
        return Some(RepairedElement { text, end, has_lost_fields: false });
    }
    repair_element_by_pieces(text)
}

/// Like [`repair_element`], without the quick look.
fn repair_element_by_pieces(text: &str) -> Option<RepairedElement<'_>> {
    let mut pieces = Pieces::new(text);
    let mut repair = ElementRepair::default();
    while let Some(piece) = pieces.next() {
        repair.add(piece)?;
        if repair.open.is_empty() {
            let end = pieces.position();
            let repaired = match repair.is_changed {
                true => Cow::Owned(repair.repaired),
                false => Cow::Borrowed(text.get(..end)?),
            };
            let has_lost_fields = repair.has_lost_fields;
            return Some(RepairedElement { text: repaired, end, has_lost_fields });
        }
    }
    None
}

/// Repairs a document with the root `response`. What stands before and after the root is dropped
/// unless it is valid. Returns `None` if there is no such root, if it cannot be repaired, or if
/// there is a document type or another element beside it.
pub(crate) fn repair_response(text: &str) -> Option<Cow<'_, str>> {
    let start = find_opening_tag(text, "response")?;
    let (before, rest) = text.split_at(start);
    let is_markup = |(position, _): (usize, &str)| !before[position + 1..].starts_with(['?', '!']);
    if before.contains("<!DOCTYPE") || before.match_indices('<').any(is_markup) {
        return None;
    }
    let RepairedElement { text: root, end, .. } = repair_element(rest)?;
    let after = &rest[end..];
    if find_opening_tag(after, "response").is_some() {
        return None;
    }
    match root {
        Cow::Borrowed(_) if is_prologue(before) && is_surroundings(after) => {
            Some(Cow::Borrowed(text))
        }
        root => Some(root),
    }
}

/// Returns the offset of the first opening tag of this name.
pub(crate) fn find_opening_tag(text: &str, name: &str) -> Option<usize> {
    let is_tag = |position: &usize| {
        let after = text[position + 1..].strip_prefix(name);
        after.is_some_and(|after| after.starts_with(['>', '/', ' ', '\t', '\r', '\n']))
    };
    text.match_indices('<').map(|(position, _)| position).find(is_tag)
}

/// Returns whether the text may stand before the root of a document.
fn is_prologue(text: &str) -> bool {
    let declaration = text.strip_prefix("<?xml").filter(|rest| rest.starts_with(is_xml_space));
    match declaration.and_then(|rest| rest.split_once("?>")) {
        Some((declaration, rest)) => is_declaration(declaration) && is_surroundings(rest),
        None => is_surroundings(text),
    }
}

/// Returns whether the text is white space, comments and processing instructions.
fn is_surroundings(text: &str) -> bool {
    Pieces::new(text).all(|piece| match piece {
        Piece::Text(text) => text.chars().all(is_xml_space),
        Piece::Aside { is_valid, .. } => is_valid,
        _ => false,
    })
}

/// An element whose end was not found yet.
struct OpenElement<'a> {
    /// The name, or all that stands in the tag if the tag is not valid.
    label: &'a str,
    /// Whether the opening tag is valid.
    has_name: bool,
    /// Whether the element is to be dropped.
    is_broken: bool,
    /// Namespace prefixes that its tag declares.
    prefixes: Vec<&'a str>,
    /// Length of the repaired text before it.
    start: usize,
}

/// The state of a repair.
#[derive(Default)]
struct ElementRepair<'a> {
    /// The root and the elements in it that are open, outermost first.
    open: Vec<OpenElement<'a>>,
    repaired: String,
    is_changed: bool,
    has_lost_fields: bool,
}

impl<'a> ElementRepair<'a> {
    /// Adds a piece. Returns `None` if the root cannot be repaired.
    fn add(&mut self, piece: Piece<'a>) -> Option<()> {
        match piece {
            Piece::Open { source, tag, is_empty } => self.open_element(source, tag, is_empty)?,
            _ if self.open.is_empty() => return None,
            Piece::Text(text) => self.add_text(text),
            Piece::CData(text) => self.add_cdata(text),
            Piece::BrokenOpen { content, is_empty } => {
                self.open_broken_element(content, is_empty)?;
            }
            Piece::Close { content, is_whole } => self.close_element(content, is_whole),
            Piece::Aside { source, is_valid: true } => self.repaired.push_str(source),
            Piece::Aside { .. } => self.is_changed = true,
            Piece::Broken => self.break_element(),
        }
        Some(())
    }

    fn open_element(&mut self, source: &'a str, tag: Tag<'a>, is_empty: bool) -> Option<()> {
        let declared = |(name, _): &(&'a str, &str)| name.strip_prefix("xmlns:");
        let prefixes: Vec<&str> = tag.attributes.iter().filter_map(declared).collect();
        let names = tag.attributes.iter().map(|(name, _)| *name).chain([tag.name]);
        let has_unknown_prefix =
            names.filter_map(|name| name.split_once(':')).any(|(prefix, _)| {
                let mut open = self.open.iter();
                !matches!(prefix, "xml" | "xmlns")
                    && !prefixes.contains(&prefix)
                    && !open.any(|element| element.prefixes.contains(&prefix))
            });
        let is_unusable = has_unknown_prefix || tag.name.starts_with("xmlns:");
        if self.open.is_empty() && is_unusable {
            return None;
        }
        if is_empty {
            if is_unusable {
                self.is_changed = true;
            } else {
                self.repaired.push_str(source);
            }
            return Some(());
        }
        self.push_element(tag.name, !is_unusable, prefixes)?;
        self.repaired.push_str(source);
        Some(())
    }

    fn open_broken_element(&mut self, content: &'a str, is_empty: bool) -> Option<()> {
        self.is_changed = true;
        if is_empty { Some(()) } else { self.push_element(content.trim(), false, Vec::new()) }
    }

    fn push_element(
        &mut self,
        label: &'a str,
        has_name: bool,
        prefixes: Vec<&'a str>,
    ) -> Option<()> {
        let start = self.repaired.len();
        let element = OpenElement { label, has_name, is_broken: !has_name, prefixes, start };
        self.open.push(element);
        (self.open.len() <= MAX_DEPTH).then_some(())
    }

    /// Drops the innermost open element when it ends. The root is kept, without a part of it.
    fn break_element(&mut self) {
        self.is_changed = true;
        match &mut self.open[..] {
            [_, .., element] => element.is_broken = true,
            _ => self.has_lost_fields = true,
        }
    }

    fn close_element(&mut self, content: &'a str, is_whole: bool) {
        let Some(index) = self.find_open_element(content) else {
            return self.break_element();
        };
        self.drop_elements_from(index + 1);
        let is_valid = is_whole && is_name(content.trim_end_matches(is_xml_space));
        if index > 0 && (self.open[index].is_broken || !is_valid) {
            let is_lost = index == 1 && self.open[index].has_name;
            self.has_lost_fields |= is_lost;
            let element = self.open.pop();
            self.drop_text_from(element.map_or(0, |element| element.start));
            return;
        }
        if let Some(element) = self.open.pop() {
            self.is_changed |= !is_valid;
            let name = if is_valid { content } else { element.label };
            self.repaired.extend(["</", name, ">"]);
        }
    }

    /// Returns the innermost open element that a closing tag belongs to: one of the same name, or
    /// else, if either tag is not valid, one whose tag begins with the same word.
    fn find_open_element(&self, content: &str) -> Option<usize> {
        let first_word = |text: &'_ str| text.split(is_xml_space).next().unwrap_or_default().len();
        let content = content.trim();
        let word = &content[..first_word(content)];
        let is_same = |element: &OpenElement<'_>| element.label == content;
        let is_similar =
            |element: &OpenElement<'_>| element.label[..first_word(element.label)] == *word;
        self.open.iter().rposition(is_same).or_else(|| self.open.iter().rposition(is_similar))
    }

    /// Drops elements that have no end.
    fn drop_elements_from(&mut self, index: usize) {
        if let Some(element) = self.open.get(index) {
            self.has_lost_fields |= index == 1;
            self.drop_text_from(element.start);
            self.open.truncate(index);
        }
    }

    fn drop_text_from(&mut self, start: usize) {
        self.repaired.truncate(start);
        self.is_changed = true;
    }

    fn add_text(&mut self, text: &str) {
        let is_special =
            |character| matches!(character, '&' | '<' | '>') || !is_xml_char(character);
        let mut rest = text;
        while let Some(position) = rest.find(is_special) {
            let (plain, special) = rest.split_at(position);
            self.repaired.push_str(plain);
            rest = &special[self.add_special(special)..];
        }
        self.repaired.push_str(rest);
    }

    /// Adds what the text begins with: a character that may have to be escaped or dropped, or a
    /// reference. Returns its length.
    fn add_special(&mut self, text: &str) -> usize {
        match text.chars().next() {
            Some('&') => {
                let (kept, length) = repair_reference(text);
                self.is_changed |= kept.len() != length;
                self.repaired.push_str(kept);
                return length;
            }
            Some('<') => {
                // In the root, it is the rest of a tag.
                self.has_lost_fields |= self.open.len() == 1;
                self.replace_character("&lt;");
            }
            Some('>') if self.repaired.ends_with("]]") => self.replace_character("&gt;"),
            Some('>') => self.repaired.push('>'),
            _ => self.is_changed = true,
        }
        text.chars().next().map_or(0, char::len_utf8)
    }

    fn replace_character(&mut self, replacement: &str) {
        self.is_changed = true;
        self.repaired.push_str(replacement);
    }

    fn add_cdata(&mut self, text: &str) {
        if text.chars().all(is_xml_char) {
            self.repaired.extend(["<![CDATA[", text, "]]>"]);
        } else {
            // Without the characters, the text might contain the end of a section.
            self.replace_character(&escape_xml(text));
        }
    }
}

/// Returns what the reference at the start of the text becomes, and how long it was: a reference to
/// a character that XML does not allow is dropped, and an `&` that begins no reference is escaped.
fn repair_reference(text: &str) -> (&str, usize) {
    match split_reference(text) {
        Some(reference) if resolve_reference(reference).is_some() => {
            let length = reference.len() + 2;
            (&text[..length], length)
        }
        Some(reference) if is_numeric(reference) => ("", reference.len() + 2),
        _ => ("&amp;", 1),
    }
}

fn is_numeric(reference: &str) -> bool {
    let digits = reference.strip_prefix("#x").or_else(|| reference.strip_prefix('#'));
    digits.is_some_and(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests;
