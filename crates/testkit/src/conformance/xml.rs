//! XML as a small tree, and its normal form: one element a line, attributes sorted.

use anyhow::{Context, bail, ensure};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

#[derive(Debug, Default, PartialEq)]
pub(super) struct XmlElement {
    pub(super) tag: String,
    pub(super) attributes: Vec<(String, String)>,
    /// The text before the first child. Text after children is not kept.
    pub(super) text: String,
    pub(super) children: Vec<XmlElement>,
}

impl XmlElement {
    /// The tree, or why the text is not well-formed.
    pub(super) fn parse(text: &str) -> anyhow::Result<XmlElement> {
        ensure!(text.chars().all(is_legal_char), "a character that XML does not allow");
        let mut builder = TreeBuilder::default();
        let mut reader = Reader::from_str(text);
        loop {
            let at = reader.buffer_position();
            match reader.read_event()? {
                Event::Start(start) => builder.open.push(open_element(&start)?),
                Event::Empty(start) => builder.close(open_element(&start)?)?,
                Event::End(_) => {
                    let done = builder.open.pop().context("an end without its start")?;
                    builder.close(done)?;
                }
                Event::Text(part) => {
                    ensure!(!part.contains("]]>"), "]]> in text");
                    builder.add_text(&part.xml10_content())?;
                }
                Event::CData(part) => {
                    ensure!(!builder.open.is_empty(), "CDATA outside the root");
                    builder.add_text(&part.xml10_content())?;
                }
                Event::GeneralRef(name) => builder.add_text(&resolve_reference(&name)?)?,
                Event::Decl(_) => ensure!(at == 0, "a declaration after the start"),
                Event::DocType(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return builder.finish(),
            }
        }
    }

    pub(super) fn child_text(&self, tag: &str) -> &str {
        self.children.iter().find(|child| child.tag == tag).map_or("", |child| &child.text)
    }

    /// The function on every element, parents first.
    pub(super) fn visit(&mut self, change: &mut impl FnMut(&mut XmlElement)) {
        change(self);
        for child in &mut self.children {
            child.visit(change);
        }
    }

    /// One element per line, indented; text that only breaks lines is dropped.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut attributes = self.attributes.clone();
        attributes.sort();
        let attributes: String =
            attributes.iter().map(|(key, value)| format!(" {key}=\"{value}\"")).collect();
        let is_layout = self.text.trim().is_empty() && self.text.contains('\n');
        let text = if is_layout { "" } else { &self.text };
        let close = if self.children.is_empty() && text.is_empty() { "/>" } else { ">" };
        let mut lines = vec![format!("<{}{attributes}{close}{text}", self.tag)];
        for child in &self.children {
            lines.extend(child.lines().into_iter().map(|line| format!("  {line}")));
        }
        lines
    }
}

/// The elements that are open, outermost first, and the root once it is closed.
#[derive(Default)]
struct TreeBuilder {
    open: Vec<XmlElement>,
    root: Option<XmlElement>,
}

impl TreeBuilder {
    fn close(&mut self, element: XmlElement) -> anyhow::Result<()> {
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if self.root.is_some() => bail!("a second root"),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) -> anyhow::Result<()> {
        match self.open.last_mut() {
            Some(element) if element.children.is_empty() => element.text.push_str(text),
            Some(_) => {}
            None => ensure!(text.trim_ascii().is_empty(), "text outside the root"),
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<XmlElement> {
        ensure!(self.open.is_empty(), "the text ends within an element");
        self.root.context("no element")
    }
}

fn open_element(start: &BytesStart<'_>) -> anyhow::Result<XmlElement> {
    let tag = start.name().into_inner().to_owned();
    ensure!(is_name(&tag), "not a name: {tag:?}");
    let mut element = XmlElement { tag, ..XmlElement::default() };
    for attribute in start.attributes() {
        let attribute = attribute?;
        let key = attribute.key.into_inner().to_owned();
        ensure!(is_name(&key) && !attribute.value.contains('<'), "not an attribute: {key:?}");
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        element.attributes.push((key, value));
    }
    Ok(element)
}

fn resolve_reference(name: &quick_xml::events::BytesRef<'_>) -> anyhow::Result<String> {
    if let Some(character) = name.resolve_char_ref()? {
        ensure!(is_legal_char(character), "a reference to a character that XML does not allow");
        return Ok(character.to_string());
    }
    let known = resolve_predefined_entity(name).context("an unknown entity")?;
    Ok(known.to_owned())
}

fn is_legal_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.') || c > '\u{7f}';
    text.starts_with(|c: char| inner(c) && !c.is_ascii_digit() && c != '-' && c != '.')
        && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form_has_one_element_a_line() {
        let text = "<?xml version='1.0'?>\n<r b='2' a='&lt;1'>\n <x>a &amp; &#228;<![CDATA[<]]></x>tail<y/> <z> </z>\n<w>\n</w></r>\n";
        let lines = XmlElement::parse(text).unwrap().lines();
        assert_eq!(lines, ["<r a=\"<1\" b=\"2\">", "  <x>a & ä<", "  <y/>", "  <z> ", "  <w/>"]);
    }

    #[test]
    fn refuses_what_is_not_well_formed() {
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a>&nope;</a>",
            "<a>\u{1}</a>",
            "<a>&#1;</a>",
            "<1/>",
            "<a b='1' b='2'/>",
            "<a b=<>/>",
            " <?xml version='1.0'?><a/>",
            "\0\u{1} <<<not xml & neither this",
            "<a>a & b</a>",
        ] {
            assert!(XmlElement::parse(text).is_err(), "{text:?}");
        }
    }
}
