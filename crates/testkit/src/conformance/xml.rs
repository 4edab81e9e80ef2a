//! XML as a small tree that can be changed, and its normal form for comparison.

use roxmltree::{Document, Node};

/// An element with everything that is compared.
#[derive(Debug, Default, PartialEq)]
pub(super) struct XmlElement {
    pub(super) tag: String,
    pub(super) attributes: Vec<(String, String)>,
    /// The text before the first child element. Text after child elements is dropped.
    pub(super) text: String,
    pub(super) children: Vec<XmlElement>,
}

impl XmlElement {
    /// Parses a document.
    ///
    /// # Errors
    /// When it is not well-formed, or has a document type.
    pub(super) fn parse(text: &str) -> Result<XmlElement, roxmltree::Error> {
        Ok(XmlElement::from_node(Document::parse(text)?.root_element()))
    }

    fn from_node(node: Node<'_, '_>) -> XmlElement {
        let attributes = node.attributes();
        let before_elements = node.children().take_while(|child| !child.is_element());
        XmlElement {
            tag: node.tag_name().name().to_owned(),
            attributes: attributes
                .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
                .collect(),
            text: before_elements.filter(Node::is_text).filter_map(|child| child.text()).collect(),
            children: node.children().filter(Node::is_element).map(XmlElement::from_node).collect(),
        }
    }

    /// The text of the first child element with this tag; empty if there is none.
    pub(super) fn child_text(&self, tag: &str) -> &str {
        self.children.iter().find(|child| child.tag == tag).map_or("", |child| &child.text)
    }

    /// Calls a function for every element, parents first.
    pub(super) fn visit(&mut self, change: &mut impl FnMut(&mut XmlElement)) {
        change(self);
        for child in &mut self.children {
            child.visit(change);
        }
    }

    /// The normal form: one element per line, indented, with sorted attributes. Text that only
    /// breaks lines is dropped.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form_has_one_element_per_line() {
        let text = "<?xml version='1.0'?>\n<r b='2' a='&lt;1'>\n <x>a &amp; &#228;<![CDATA[<]]></x>tail<y/> <z> </z>\n<w>\n</w></r>\n";
        let lines = XmlElement::parse(text).unwrap().lines();
        assert_eq!(lines, ["<r a=\"<1\" b=\"2\">", "  <x>a & ä<", "  <y/>", "  <z> ", "  <w/>"]);
    }

    #[test]
    fn documents_that_are_not_well_formed_are_refused() {
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
