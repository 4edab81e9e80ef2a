//! Answers in XML: reading what a BBB server said, and writing what we say ourselves.
//! Shapes and texts: BBB's FreeMarker templates (success, failure, and the older `errors` shape).

use std::borrow::Cow;

use crate::xml::{XmlStep, walk};

/// The verdict of a BBB server's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Whether `returncode` is `SUCCESS`.
    pub success: bool,
    /// `messageKey`, or the first `errors/error/key` of the older shape; may be empty.
    pub message_key: String,
    /// `message`, from the same place.
    pub message: String,
    /// `running`, where the answer has it.
    pub running: Option<bool>,
}

/// What a server sent is no answer of the BBB API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResponse {
    /// No well-formed XML: a web server's page, or a body that was cut off.
    #[error("not an answer in XML: {0}")]
    NotXml(&'static str),
    /// Well-formed or empty, but without a `returncode`.
    #[error("an answer without returncode")]
    NoReturncode,
    /// `getMeetings` was refused.
    #[error("an answer with returncode FAILED")]
    Failed,
}

impl Response {
    /// Reads a whole answer.
    ///
    /// # Errors
    /// When it is not well-formed XML with a `response` root and a `returncode`.
    pub fn read(body: &[u8]) -> Result<Self, InvalidResponse> {
        let text = decode_body(body)?;
        let mut answer = Self::default();
        let mut path: Vec<&str> = Vec::new();
        let (mut value, mut returncode) = (String::new(), None);
        walk(&text, |step| {
            match step {
                XmlStep::Open(name, _) => {
                    path.push(name);
                    value.clear();
                }
                XmlStep::Text(text) if path.len() <= 4 => value.push_str(text),
                XmlStep::Text(_) | XmlStep::Attribute(..) => {}
                XmlStep::Close(_) => {
                    match path[..] {
                        ["response", "returncode"] => returncode = Some(value.trim() == "SUCCESS"),
                        ["response", "running"] => answer.running = Some(value.trim() == "true"),
                        ["response", "messageKey"] | ["response", "errors", "error", "key"] => {
                            set_if_empty(&mut answer.message_key, &value);
                        }
                        ["response", "message"] | ["response", "errors", "error", "message"] => {
                            set_if_empty(&mut answer.message, &value);
                        }
                        _ => {}
                    }
                    path.pop();
                    value.clear();
                }
            }
            true
        })
        .map_err(InvalidResponse::NotXml)?;
        answer.success = returncode.ok_or(InvalidResponse::NoReturncode)?;
        Ok(answer)
    }
}

/// The texts of all elements that hold nothing else, with their paths (`response/running`), in
/// order; nothing if the answer cannot be read.
#[must_use]
pub fn parse_text_elements(body: &[u8]) -> Vec<(String, String)> {
    let (mut path, mut value, mut leaf) = (Vec::new(), String::new(), false);
    let mut found = Vec::new();
    let Ok(text) = decode_body(body) else {
        return found;
    };
    let read = walk(&text, |step| {
        match step {
            XmlStep::Open(name, _) => {
                path.push(name);
                value.clear();
                leaf = true;
            }
            XmlStep::Attribute(..) => {}
            XmlStep::Text(text) => value.push_str(text),
            XmlStep::Close(_) => {
                if leaf {
                    found.push((path.join("/"), std::mem::take(&mut value)));
                }
                path.pop();
                leaf = false;
            }
        }
        true
    });
    if read.is_err() {
        found.clear();
    }
    found
}

/// `bbbVersion` of a version document, if the server reveals it.
#[must_use]
pub fn parse_bbb_version(body: &[u8]) -> Option<String> {
    let elements = parse_text_elements(body);
    let (_, version) = elements.into_iter().find(|(path, _)| path == "response/bbbVersion")?;
    let version = version.trim();
    let plain = version.chars().all(|character| character.is_ascii_graphic());
    (!version.is_empty() && plain).then(|| version.to_owned())
}

fn set_if_empty(slot: &mut String, value: &str) {
    if slot.is_empty() {
        value.clone_into(slot);
    }
}

/// The body as text, without a byte order mark, if there is anything in it.
pub(crate) fn decode_body(body: &[u8]) -> Result<Cow<'_, str>, InvalidResponse> {
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    if text.trim().is_empty() { Err(InvalidResponse::NoReturncode) } else { Ok(text) }
}

/// The `FAILED` answer with this key and message.
#[must_use]
pub fn build_failure(message_key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{}</messageKey>\
         <message>{}</message></response>",
        escape_xml(message_key),
        escape_xml(message)
    )
}

/// The same for calls that answer in JSON.
#[must_use]
pub fn build_failure_json(message_key: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "response": {
        "returncode": "FAILED", "messageKey": message_key, "message": message,
    }})
}

/// A `SUCCESS` answer with these elements, in order.
#[must_use]
pub fn build_success(elements: &[(&str, &str)]) -> String {
    let mut text = String::from("<response><returncode>SUCCESS</returncode>");
    for (name, value) in elements {
        text.push_str(&format!("<{name}>{}</{name}>", escape_xml(value)));
    }
    text.push_str("</response>");
    text
}

/// Text for an XML element: escaped, and without the characters that XML cannot hold at all.
#[must_use]
pub fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|character| is_xml_char(*character)) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Markup without characters, plain or as references, that would make it unreadable for every
/// client. Legal markup comes back as it is.
#[must_use]
pub fn strip_illegal_characters(markup: &str) -> Cow<'_, str> {
    if markup.chars().all(is_xml_char) && !markup.contains("&#") {
        return Cow::Borrowed(markup);
    }
    let mut clean = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find("&#") {
        let (before, reference) = rest.split_at(at);
        clean.extend(before.chars().filter(|character| is_xml_char(*character)));
        let end = reference.bytes().take(12).position(|byte| byte == b';').map_or(2, |end| end + 1);
        if decode_reference(&reference[2..end]).is_none_or(is_xml_char) {
            clean.push_str(&reference[..end]);
        }
        rest = &reference[end..];
    }
    clean.extend(rest.chars().filter(|character| is_xml_char(*character)));
    Cow::Owned(clean)
}

/// The character that `38;` or `x26;` names, NUL where the number names none.
fn decode_reference(reference: &str) -> Option<char> {
    let number = reference.strip_suffix(';')?;
    let code = match number.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    Some(code.ok().and_then(char::from_u32).unwrap_or('\0'))
}

/// Char of XML 1.0.
fn is_xml_char(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_failure_shapes_are_read() {
        let one = Response::read(build_failure("idNotUnique", "A <b> & c").as_bytes()).unwrap();
        assert!(!one.success);
        assert_eq!((one.message_key.as_str(), one.message.as_str()), ("idNotUnique", "A <b> & c"));
        let two = "<response><returncode>FAILED</returncode><errors><error><key>nonUniqueVoiceBridge\
                   </key><message>taken</message></error></errors></response>";
        let two = Response::read(two.as_bytes()).unwrap();
        assert_eq!(two.message_key, "nonUniqueVoiceBridge");
        assert_eq!(two.message, "taken");
    }

    #[test]
    fn nested_elements_of_the_same_name_do_not_count() {
        let text = "<?xml version=\"1.0\"?>\n<response> <returncode>SUCCESS</returncode>\
                    <attendees><attendee><message>no</message></attendee></attendees>\
                    <messageKey/><message></message><running>true</running></response>";
        let expected = Response { success: true, running: Some(true), ..Response::default() };
        assert_eq!(Response::read(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn invalid_responses_are_rejected() {
        let deep = format!("<response>{}", "<a>".repeat(100));
        let bomb =
            "<!DOCTYPE r [<!ENTITY a \"b\">]><response><returncode>&a;</returncode></response>";
        for bad in [
            "",
            "  \n",
            "<html><body>Welcome to nginx</body></html>",
            "<html><head><meta charset=x><title>502</title></head></html>",
            "\u{0}\u{1} <<<not xml & neither this",
            "<response><messageKey>x</messageKey></response>",
            "<response><returncode>SUCCESS</returncode>",
            "<response><returncode>SUCCESS</returncode></response><response/>",
            "<other><returncode>SUCCESS</returncode></other>",
            &deep,
            bomb,
        ] {
            assert!(Response::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions() {
        let of = |text: &str| parse_bbb_version(text.as_bytes());
        let found =
            of("<response><version>2.0</version><bbbVersion> 3.0.14</bbbVersion></response>");
        assert_eq!(found.as_deref(), Some("3.0.14"));
        assert_eq!(of("<response><bbbVersion/></response>"), None);
        assert_eq!(of("<html>"), None);
    }

    #[test]
    fn illegal_characters_are_dropped() {
        assert_eq!(escape_xml("a\u{1}<]]>\u{ffff}"), "a&lt;]]&gt;");
        assert_eq!(
            strip_illegal_characters("<a>x&amp;\u{1}&#1;&#x41;&#xFFFF;&#;&#</a>"),
            "<a>x&amp;&#x41;&#</a>"
        );
        assert!(matches!(strip_illegal_characters("<a>ü\n</a>"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn written_failures_are_read_back(key in "\\PC*", message in ".*") {
            let answer = Response::read(build_failure(&key, &message).as_bytes()).unwrap();
            let legal_only: String = message.chars().filter(|c| is_xml_char(*c)).collect();
            prop_assert!(!answer.success);
            prop_assert_eq!(answer.message_key, key.chars().filter(|c| is_xml_char(*c)).collect::<String>());
            // XML folds carriage returns into line feeds.
            prop_assert_eq!(answer.message, legal_only.replace("\r\n", "\n").replace('\r', "\n"));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Response::read(&bytes);
            let _ = strip_illegal_characters(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn mutated_answers_do_not_panic(at in 0usize..120, byte in any::<u8>()) {
            let mut bytes = build_failure("key", "message &#65; <").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Response::read(&bytes);
        }
    }
}
