//! Splits a text that may not be well-formed XML into tags, texts, and what is neither, and says of
//! each piece whether it is valid by itself.

use crate::grammar::{Tag, is_comment, is_processing_instruction, parse_tag};

/// How CDATA sections, comments and processing instructions end.
const SECTION_ENDS: [&str; 3] = ["]]>", "-->", "?>"];

/// One piece of a text.
#[derive(Debug)]
pub(crate) enum Piece<'a> {
    /// Text with references, or a `<` that begins nothing.
    Text(&'a str),
    /// The content of a CDATA section.
    CData(&'a str),
    /// A valid opening tag. `source` is the tag as it was sent.
    Open { source: &'a str, tag: Tag<'a>, is_empty: bool },
    /// An opening tag that is not valid: what stands between `<` and `>`, or `/>`.
    BrokenOpen { content: &'a str, is_empty: bool },
    /// A closing tag: what stands between `</` and `>`. `is_whole` is false if there is no `>`.
    Close { content: &'a str, is_whole: bool },
    /// A comment or a processing instruction, as it was sent.
    Aside { source: &'a str, is_valid: bool },
    /// The beginning of something that does not end, or that no response has.
    Broken,
}

/// Splits a text, from its start on. The work grows with the length of the text, whatever it holds.
pub(crate) struct Pieces<'a> {
    text: &'a str,
    position: usize,
    /// Ends of sections that were looked for in vain; they do not occur further on either.
    missing_ends: [bool; 3],
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0, missing_ends: [false; 3] }
    }

    /// Returns the offset after the last piece.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Takes what lies between a start of this length and the end of a section.
    fn take_section(&mut self, start: usize, kind: usize) -> Option<&'a str> {
        if self.missing_ends[kind] {
            return None;
        }
        let rest = &self.text[self.position + start..];
        let Some(length) = rest.find(SECTION_ENDS[kind]) else {
            self.missing_ends[kind] = true;
            return None;
        };
        self.position += start + length + SECTION_ENDS[kind].len();
        Some(&rest[..length])
    }

    fn take_markup(&mut self, rest: &'a str) -> Piece<'a> {
        if let Some(content) = rest.strip_prefix("</") {
            return self.take_closing_tag(content);
        }
        let is_instruction = rest.starts_with("<?");
        if rest.starts_with("<![CDATA[") {
            return self.take_section(9, 0).map_or_else(|| self.skip(9), Piece::CData);
        } else if rest.starts_with("<!--") || is_instruction {
            let (start, kind) = if is_instruction { (2, 2) } else { (4, 1) };
            let Some(content) = self.take_section(start, kind) else {
                return self.skip(start);
            };
            let is_valid = match is_instruction {
                true => is_processing_instruction(content),
                false => is_comment(content),
            };
            let length = start + content.len() + SECTION_ENDS[kind].len();
            return Piece::Aside { source: &rest[..length], is_valid };
        } else if rest.starts_with("<!") {
            return self.skip(2);
        }
        self.take_opening_tag(rest)
    }

    fn skip(&mut self, bytes: usize) -> Piece<'a> {
        self.position += bytes;
        Piece::Broken
    }

    fn take_closing_tag(&mut self, rest: &'a str) -> Piece<'a> {
        let end = rest.find(['<', '>']).unwrap_or(rest.len());
        let is_whole = rest[end..].starts_with('>');
        self.position += 2 + end + usize::from(is_whole);
        Piece::Close { content: &rest[..end], is_whole }
    }

    fn take_opening_tag(&mut self, rest: &'a str) -> Piece<'a> {
        let content = |end: usize| {
            let content = &rest[1..end];
            content.strip_suffix('/').map_or((content, false), |content| (content, true))
        };
        if let Some(end) = find_tag_end(rest) {
            let (content, is_empty) = content(end);
            if let Some(tag) = parse_tag(content) {
                self.position += end + 1;
                return Piece::Open { source: &rest[..=end], tag, is_empty };
            }
        }
        let end = rest[1..].find(['<', '>']).map(|end| end + 1);
        match end.filter(|end| rest[*end..].starts_with('>')) {
            Some(end) => {
                let (content, is_empty) = content(end);
                self.position += end + 1;
                Piece::BrokenOpen { content, is_empty }
            }
            None => {
                self.position += 1;
                Piece::Text("<")
            }
        }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.text.get(self.position..).filter(|rest| !rest.is_empty())?;
        if rest.starts_with('<') {
            return Some(self.take_markup(rest));
        }
        let text = &rest[..rest.find('<').unwrap_or(rest.len())];
        self.position += text.len();
        Some(Piece::Text(text))
    }
}

/// Returns the offset of the `>` that ends an opening tag. Quotes may enclose a `>`, but no `<`.
fn find_tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match (quote, byte) {
            (_, b'<') => return None,
            (None, b'>') => return Some(position),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}
