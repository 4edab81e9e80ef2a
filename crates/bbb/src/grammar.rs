//! The parts of XML's grammar that decide whether a text is well-formed: characters, names,
//! references, attributes, and the declaration.

/// Most attributes of a tag. Responses of BBB have none.
const MAX_ATTRIBUTES: usize = 32;
/// Longest character reference, without `&` and `;`. Longer numbers are no characters.
const MAX_REFERENCE_BYTES: usize = 10;

/// A valid opening tag.
#[derive(Debug, Default)]
pub(crate) struct Tag<'a> {
    /// The name of the element.
    pub(crate) name: &'a str,
    /// Names and values of the attributes.
    pub(crate) attributes: Vec<(&'a str, &'a str)>,
}

/// Returns whether XML 1.0 allows the character (production `Char`).
pub(crate) fn is_xml_char(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => character >= ' ',
    }
}

/// Returns whether the character is white space of XML.
pub(crate) fn is_xml_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

/// Returns whether a name may begin with the character (production `NameStartChar`, without the
/// colon, which separates a prefix).
fn is_name_start(character: char) -> bool {
    match character {
        'A'..='Z' | 'a'..='z' | '_' => true,
        _ if character.is_ascii() => false,
        '\u{d7}' | '\u{f7}' | '\u{37e}' => false,
        _ => matches!(character,
            '\u{c0}'..='\u{2ff}' | '\u{370}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
            | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
            | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}'),
    }
}

fn is_name_char(character: char) -> bool {
    matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}'
        | '\u{203f}'..='\u{2040}')
        || is_name_start(character)
}

/// Returns the length of the name that the text begins with, colons included.
fn measure_name(text: &str) -> usize {
    let end = text.find(|character| character != ':' && !is_name_char(character));
    end.unwrap_or(text.len())
}

/// Returns whether the text is a name, with a prefix or without.
pub(crate) fn is_name(text: &str) -> bool {
    let mut parts = text.split(':');
    let is_part = |part: &str| part.starts_with(is_name_start) && part.chars().all(is_name_char);
    parts.by_ref().take(2).all(is_part) && parts.next().is_none()
}

/// Returns the character that a reference stands for, without its `&` and `;`. `None` if it is none,
/// or if XML does not allow the character.
pub(crate) fn resolve_reference(reference: &str) -> Option<char> {
    let Some(number) = reference.strip_prefix('#') else {
        return resolve_entity(reference);
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` accepts a sign.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(code).filter(|character| is_xml_char(*character))
}

/// Returns the character of one of the five predefined entities.
pub(crate) fn resolve_entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

/// Returns the reference, without its `&` and `;`, that follows the `&` at the start of the text,
/// whether it stands for a character or not.
pub(crate) fn split_reference(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('&')?;
    let end = rest.bytes().take(MAX_REFERENCE_BYTES + 1).position(|byte| byte == b';')?;
    rest.get(..end)
}

/// Returns whether the text may be the value of an attribute.
fn is_attribute_value(text: &str) -> bool {
    let is_reference = |(position, _): (usize, &str)| {
        split_reference(&text[position..]).is_some_and(|found| resolve_reference(found).is_some())
    };
    text.chars().all(|character| is_xml_char(character) && character != '<')
        && text.match_indices('&').all(is_reference)
}

/// Parses what stands between `<` and `>`, or `/>`, of an opening tag.
pub(crate) fn parse_tag(text: &str) -> Option<Tag<'_>> {
    let (name, rest) = text.split_at(measure_name(text));
    let attributes = parse_attributes(rest)?;
    is_name(name).then_some(Tag { name, attributes })
}

/// Parses attributes, each after white space.
fn parse_attributes(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches(is_xml_space);
        if start.is_empty() {
            return Some(attributes);
        }
        if start.len() == rest.len() || attributes.len() == MAX_ATTRIBUTES {
            return None;
        }
        let (name, after) = start.split_at(measure_name(start));
        let after = after.trim_start_matches(is_xml_space).strip_prefix('=')?;
        let after = after.trim_start_matches(is_xml_space);
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        let is_new = attributes.iter().all(|(other, _)| *other != name);
        if !is_name(name) || !is_new || !is_attribute_value(value) || is_bad_namespace(name, value)
        {
            return None;
        }
        attributes.push((name, value));
        rest = after;
    }
}

/// Returns whether the attribute declares a namespace that cannot be declared.
fn is_bad_namespace(name: &str, value: &str) -> bool {
    const RESERVED: &str = "http://www.w3.org/";
    match name.strip_prefix("xmlns:") {
        Some(prefix) => {
            value.is_empty() || prefix.starts_with("xml") || value.starts_with(RESERVED)
        }
        None => name == "xmlns" && value.starts_with(RESERVED),
    }
}

/// Returns whether what stands between `<?xml` and `?>` is a declaration of a document.
pub(crate) fn is_declaration(text: &str) -> bool {
    let Some(attributes) = parse_attributes(text) else {
        return false;
    };
    let mut rest = attributes.as_slice();
    let Some((("version", "1.0" | "1.1"), after)) = rest.split_first() else {
        return false;
    };
    rest = after;
    if let Some((("encoding", encoding), after)) = rest.split_first() {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if !encoding.starts_with(|c: char| c.is_ascii_alphabetic())
            || !encoding.chars().all(is_allowed)
        {
            return false;
        }
        rest = after;
    }
    matches!(rest, [] | [("standalone", "yes" | "no")])
}

/// Returns whether the text may stand between `<!--` and `-->`.
pub(crate) fn is_comment(text: &str) -> bool {
    !text.contains("--") && !text.ends_with('-') && text.chars().all(is_xml_char)
}

/// Returns whether the text may stand between `<?` and `?>`.
pub(crate) fn is_processing_instruction(text: &str) -> bool {
    let (target, rest) = text.split_at(measure_name(text));
    is_name(target)
        && !target.contains(':')
        && !target.eq_ignore_ascii_case("xml")
        && (rest.is_empty() || rest.starts_with(is_xml_space))
        && rest.chars().all(is_xml_char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_xml() {
        for name in ["a", "_", "userId", "bbb-origin", "a.b", "a:b", "über", "ключ", "a1", "日本"]
        {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "1st", "-a", "my key", "a&b", "a:", ":a", "a:b:c", "a/b", "a<b", "×", "·a"]
        {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn references_stand_for_allowed_characters_only() {
        for (reference, character) in [("amp", '&'), ("#65", 'A'), ("#x1F600", '😀')] {
            assert_eq!(resolve_reference(reference), Some(character));
        }
        for bad in ["", "nbsp", "#", "#x", "#X41", "#+65", "#0", "#1", "#xD800", "#xFFFE", "#12a"] {
            assert_eq!(resolve_reference(bad), None, "{bad}");
        }
        assert_eq!(split_reference("&amp; x"), Some("amp"));
        assert_eq!(split_reference("&ü;"), Some("ü"));
        assert_eq!(split_reference("& b; c"), Some(" b"));
        assert_eq!(split_reference("&#xxxxxxxxxxxxxx;"), None);
    }

    #[test]
    fn tags_have_valid_unique_attributes() {
        for tag in ["a", "a ", "a b='1'", "a b=\"x>y\" c = 'z'\n", "a xmlns:p='u' p:b='&lt;'"] {
            assert!(parse_tag(tag).is_some(), "{tag}");
        }
        for tag in [
            "",
            " a",
            "my key",
            "a b",
            "a b=1",
            "a b='1'c='2'",
            "a b='' b=''",
            "a b='<'",
            "a b='&'",
        ] {
            assert!(parse_tag(tag).is_none(), "{tag}");
        }
        let many: String = (0..40).map(|n| format!(" a{n}=''")).collect();
        assert!(parse_tag(&format!("a{many}")).is_none());
    }

    #[test]
    fn declarations_have_their_parts_in_order() {
        assert!(is_declaration(" version=\"1.0\" encoding='UTF-8' standalone='yes'"));
        assert!(is_declaration(" version='1.0' "));
        for bad in ["", " encoding='UTF-8'", " version='1.0' encoding=''", " version='2'"] {
            assert!(!is_declaration(bad), "{bad}");
        }
    }
}
