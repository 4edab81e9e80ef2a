//! XML responses of the BBB API: parsing those of BBB servers and building our own. Source of the
//! formats: BBB's FreeMarker templates (success, failure, and the older format with an `errors`
//! element).

use std::borrow::Cow;

use crate::grammar::is_xml_char;
use crate::meetings::{parse_count, parse_create_time};
use crate::repair::repair_response;
use crate::xml::{XmlStep, walk};

/// The general part of a BBB server's response: whether the call succeeded, and the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Whether `returncode` is `SUCCESS`.
    pub success: bool,
    /// `messageKey`, or the first `errors/error/key` of the older format; may be empty.
    pub message_key: String,
    /// `message`, or the first `errors/error/message` of the older format; may be empty.
    pub message: String,
    /// `running`, if the response has it and it is true or false.
    pub running: Option<bool>,
    /// `internalMeetingID`, if the response is about one meeting.
    pub internal_id: Option<String>,
    /// `createTime` in ms since 1970, likewise.
    pub create_time_ms: Option<i64>,
    /// `participantCount`, likewise.
    pub participants: Option<u32>,
    /// `attendeePW`, likewise.
    pub attendee_pw: Option<String>,
    /// `moderatorPW`, likewise.
    pub moderator_pw: Option<String>,
}

/// The reason why a body is not a usable response of the BBB API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResponse {
    /// The body is not well-formed XML: a web server's error page, or an incomplete body.
    #[error("response is not XML: {0}")]
    NotXml(&'static str),
    /// The body is empty, or well-formed without a `returncode`.
    #[error("response has no returncode")]
    NoReturncode,
    /// The server refused `getMeetings`.
    #[error("response has returncode FAILED")]
    Failed,
    /// A list has more meetings than are read.
    #[error("more than {0} meetings are listed (MAX_LISTED_MEETINGS)")]
    TooManyMeetings(usize),
}

impl Response {
    /// Parses a complete response. Elements that are not well-formed are ignored.
    ///
    /// # Errors
    /// When the body is not XML, or so far from well-formed that it cannot be repaired, or has no
    /// root `response` with a `returncode`.
    pub fn read(body: &[u8]) -> Result<Self, InvalidResponse> {
        Self::read_and_repair(body).map(|(response, _)| response)
    }

    /// Parses a complete response. If it is not well-formed, the result includes what is to be
    /// passed on instead of it: the response without its broken elements.
    ///
    /// # Errors
    /// As [`Response::read`].
    pub fn read_and_repair(body: &[u8]) -> Result<(Self, Option<String>), InvalidResponse> {
        let text = decode_body(body)?;
        let Some(repaired) = repair_response(&text) else {
            let response = Self::read_text(&text);
            return Err(response.err().unwrap_or(InvalidResponse::NotXml("not well formed")));
        };
        let response = Self::read_text(&repaired)?;
        let is_same = matches!((&text, &repaired), (Cow::Borrowed(_), Cow::Borrowed(_)));
        Ok((response, (!is_same).then(|| repaired.into_owned())))
    }

    fn read_text(text: &str) -> Result<Self, InvalidResponse> {
        let mut response = Self::default();
        let mut path: Vec<&str> = Vec::new();
        let (mut value, mut returncode) = (String::new(), None);
        walk(text, |step| {
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
                        ["response", "messageKey"] | ["response", "errors", "error", "key"] => {
                            set_if_empty(&mut response.message_key, &value);
                        }
                        ["response", "message"] | ["response", "errors", "error", "message"] => {
                            set_if_empty(&mut response.message, &value);
                        }
                        ["response", field] => response.set_field(field, &value),
                        _ => {}
                    }
                    path.pop();
                    value.clear();
                }
            }
            true
        })
        .map_err(InvalidResponse::NotXml)?;
        response.success = returncode.ok_or(InvalidResponse::NoReturncode)?;
        Ok(response)
    }

    fn set_field(&mut self, field: &str, text: &str) {
        let value = text.trim();
        match field {
            "running" => self.running = parse_flag(value),
            "internalMeetingID" => {
                self.internal_id = (!value.is_empty()).then(|| value.to_owned());
            }
            "createTime" => self.create_time_ms = parse_create_time(value),
            "participantCount" => self.participants = parse_count(value),
            "attendeePW" => self.attendee_pw = Some(text.to_owned()),
            "moderatorPW" => self.moderator_pw = Some(text.to_owned()),
            _ => {}
        }
    }
}

/// Returns the paths (such as `response/running`) and texts of all elements without child elements,
/// in order. Elements that are not well-formed are left out; the list is empty if there is no response.
#[must_use]
pub fn parse_text_elements(body: &[u8]) -> Vec<(String, String)> {
    let (mut path, mut value, mut is_leaf) = (Vec::new(), String::new(), false);
    let mut elements = Vec::new();
    let Ok(text) = decode_body(body) else {
        return elements;
    };
    let repaired = repair_response(&text);
    let result = walk(repaired.as_deref().unwrap_or(&text), |step| {
        match step {
            XmlStep::Open(name, _) => {
                path.push(name);
                value.clear();
                is_leaf = true;
            }
            XmlStep::Attribute(..) => {}
            XmlStep::Text(text) => value.push_str(text),
            XmlStep::Close(_) => {
                if is_leaf {
                    elements.push((path.join("/"), std::mem::take(&mut value)));
                }
                path.pop();
                is_leaf = false;
            }
        }
        true
    });
    if result.is_err() {
        elements.clear();
    }
    elements
}

/// Returns `bbbVersion` of a version document, if the server reveals it.
#[must_use]
pub fn parse_bbb_version(body: &[u8]) -> Option<String> {
    let elements = parse_text_elements(body);
    let (_, version) = elements.into_iter().find(|(path, _)| path == "response/bbbVersion")?;
    let version = version.trim();
    let is_printable = version.chars().all(|character| character.is_ascii_graphic());
    (!version.is_empty() && is_printable).then(|| version.to_owned())
}

fn parse_flag(value: &str) -> Option<bool> {
    value.trim().parse().ok()
}

fn set_if_empty(slot: &mut String, value: &str) {
    if slot.is_empty() {
        value.clone_into(slot);
    }
}

/// Decodes a body as UTF-8, without a byte order mark.
///
/// # Errors
/// When the body is empty or blank.
pub(crate) fn decode_body(body: &[u8]) -> Result<Cow<'_, str>, InvalidResponse> {
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    if text.trim().is_empty() { Err(InvalidResponse::NoReturncode) } else { Ok(text) }
}

/// Builds a `FAILED` response with this key and message.
#[must_use]
pub fn build_failure(message_key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{}</messageKey>\
         <message>{}</message></response>",
        escape_xml(message_key),
        escape_xml(message)
    )
}

/// Builds a `FAILED` response that names the request, if it has an id: in a comment after the element, where no client can mistake it
/// for a part of the answer.
#[must_use]
pub fn build_failure_of(message_key: &str, message: &str, request_id: Option<&str>) -> String {
    let text = build_failure(message_key, message);
    match request_id.filter(|id| may_stand_in_comment(id)) {
        Some(id) => format!("{text}<!-- request {id} -->"),
        None => text,
    }
}

fn may_stand_in_comment(id: &str) -> bool {
    !id.contains("--") && id.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Builds a `FAILED` response for calls that respond in JSON.
#[must_use]
pub fn build_failure_json(message_key: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "response": {
        "returncode": "FAILED", "messageKey": message_key, "message": message,
    }})
}

/// Builds a `SUCCESS` response with these elements, in order.
#[must_use]
pub fn build_success(elements: &[(&str, &str)]) -> String {
    let mut text = String::from("<response><returncode>SUCCESS</returncode>");
    for (name, value) in elements {
        text.push_str(&format!("<{name}>{}</{name}>", escape_xml(value)));
    }
    text.push_str("</response>");
    text
}

/// Escapes a text for an XML element or attribute, and drops characters that XML 1.0 does not
/// allow.
#[must_use]
pub fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars().filter(|character| is_xml_char(*character)) {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Returns whether a body is a well-formed response in UTF-8, as clients get it.
#[must_use]
pub fn is_well_formed(body: &[u8]) -> bool {
    matches!(Response::read_and_repair(body), Ok((_, None)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_failure_formats_are_parsed() {
        let response =
            Response::read(build_failure("idNotUnique", "A <b> & c").as_bytes()).unwrap();
        assert!(!response.success);
        assert_eq!(
            (response.message_key.as_str(), response.message.as_str()),
            ("idNotUnique", "A <b> & c")
        );
        let named = build_failure_of("k", "m", Some("r-1"));
        assert_eq!(named, format!("{}<!-- request r-1 -->", build_failure("k", "m")));
        assert_eq!(build_failure_of("k", "m", Some("r--1")), build_failure("k", "m"));
        assert_eq!(Response::read(named.as_bytes()).unwrap().message, "m");
        let older = "<response><returncode>FAILED</returncode><errors><error><key>nonUniqueVoiceBridge\
                   </key><message>taken</message></error></errors></response>";
        let response = Response::read(older.as_bytes()).unwrap();
        assert_eq!(response.message_key, "nonUniqueVoiceBridge");
        assert_eq!(response.message, "taken");
    }

    #[test]
    fn nested_elements_of_the_same_name_are_ignored() {
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
        for body in [
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
            assert!(Response::read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn broken_elements_are_dropped_and_the_rest_is_read() {
        let sent = "<response><returncode>SUCCESS</returncode><running>true</running>\
                    <customdata><my key>v</my key></customdata><message>A & B</message></response>";
        let (response, repaired) = Response::read_and_repair(sent.as_bytes()).unwrap();
        assert_eq!((response.success, response.running), (true, Some(true)));
        assert_eq!(response.message, "A & B");
        let repaired = repaired.unwrap();
        assert_eq!(
            repaired,
            "<response><returncode>SUCCESS</returncode><running>true</running>\
             <customdata></customdata><message>A &amp; B</message></response>"
        );
        assert!(is_well_formed(repaired.as_bytes()) && !is_well_formed(sent.as_bytes()));
        let elements = parse_text_elements(sent.as_bytes());
        assert_eq!(elements.len(), 4);
    }

    #[test]
    fn well_formed_responses_are_passed_on_as_they_are() {
        let sent = "\u{feff}<?xml version=\"1.0\"?>\r\n<response><returncode>SUCCESS</returncode>\
                    <a b='1'>&#65;<![CDATA[<]]></a></response>\n<!-- x -->";
        assert_eq!(Response::read_and_repair(sent.as_bytes()).unwrap().1, None);
        let mut bytes = sent.as_bytes().to_vec();
        let position = sent.find("&#65;").unwrap();
        bytes[position] = 0xff;
        let (_, repaired) = Response::read_and_repair(&bytes).unwrap();
        assert!(repaired.unwrap().contains("<a b='1'>\u{fffd}#65;"));
    }

    #[test]
    fn running_is_unknown_unless_it_is_true_or_false() {
        let running = |value: &str| {
            let text = format!(
                "<response><returncode>SUCCESS</returncode><running>{value}</running></response>"
            );
            Response::read(text.as_bytes()).unwrap().running
        };
        assert_eq!((running(" true\n"), running("false")), (Some(true), Some(false)));
        assert_eq!((running(""), running("perhaps")), (None, None));
    }

    #[test]
    fn the_bbb_version_is_parsed() {
        let version = |text: &str| parse_bbb_version(text.as_bytes());
        let document =
            "<response><version>2.0</version><bbbVersion> 3.0.14</bbbVersion></response>";
        assert_eq!(version(document).as_deref(), Some("3.0.14"));
        assert_eq!(version("<response><bbbVersion/></response>"), None);
        assert_eq!(version("<html>"), None);
    }

    #[test]
    fn illegal_characters_are_dropped() {
        assert_eq!(escape_xml("a\u{1}<]]>\u{ffff}"), "a&lt;]]&gt;");
    }

    proptest! {
        #[test]
        fn built_failures_are_parsed_back(key in "\\PC*", message in ".*") {
            let response = Response::read(build_failure(&key, &message).as_bytes()).unwrap();
            let legal_only: String = message.chars().filter(|c| is_xml_char(*c)).collect();
            prop_assert!(!response.success);
            prop_assert_eq!(response.message_key, key.chars().filter(|c| is_xml_char(*c)).collect::<String>());
            // XML folds carriage returns into line feeds.
            prop_assert_eq!(response.message, legal_only.replace("\r\n", "\n").replace('\r', "\n"));
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Response::read(&bytes);
        }

        #[test]
        fn mutated_responses_do_not_panic(position in 0usize..120, byte in any::<u8>()) {
            let mut bytes = build_failure("key", "message &#65; <").into_bytes();
            let position = position % bytes.len();
            bytes[position] = byte;
            let _ = Response::read(&bytes);
        }
    }
}
