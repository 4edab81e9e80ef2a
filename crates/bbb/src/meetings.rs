//! Parses responses to `getMeetings`: the fields of each meeting that the balancer needs, and the
//! position of its element, so that the element can be passed on byte for byte.

use std::ops::Range;

use crate::response::{InvalidResponse, decode_body};
use crate::xml::{XmlStep, walk};

/// One `<meeting>` of a response to `getMeetings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedMeeting {
    /// Byte range of the element in the text of the response.
    pub element: Range<usize>,
    /// `meetingID`: the external id that front-ends use.
    pub id: String,
    /// `meetingName`.
    pub name: String,
    /// `createTime` in ms since 1970; 0 if absent.
    pub create_time_ms: i64,
    /// `participantCount`: number of users, moderators included.
    pub participants: u32,
    /// `videoCount`: number of cameras.
    pub videos: u32,
    /// `isBreakout`.
    pub is_breakout: bool,
    /// `voiceBridge`.
    pub voice_bridge: Option<String>,
    /// `moderatorPW`, which newer BBB releases no longer send.
    pub moderator_pw: Option<String>,
    /// `metadata/*`: names, as sent (BBB lower-cases them), and values.
    pub metadata: Vec<(String, String)>,
}

impl ListedMeeting {
    /// Returns the value of a metadata element.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A parsed response: its text and the meetings in it.
#[derive(Clone, Debug, Default)]
pub struct MeetingList {
    text: String,
    /// The meetings, in the server's order.
    pub meetings: Vec<ListedMeeting>,
}

impl MeetingList {
    /// Parses a complete response.
    ///
    /// # Errors
    /// When it is not well-formed XML with `returncode` `SUCCESS`.
    pub fn read(body: &[u8]) -> Result<Self, InvalidResponse> {
        let text = decode_body(body)?.into_owned();
        let mut parser = MeetingListParser::default();
        walk(&text, |step| parser.handle_step(step)).map_err(InvalidResponse::NotXml)?;
        let MeetingListParser { success, meetings, .. } = parser;
        match success {
            Some(true) => Ok(Self { text, meetings }),
            Some(false) => Err(InvalidResponse::Failed),
            None => Err(InvalidResponse::NoReturncode),
        }
    }

    /// Returns the element of a meeting as the server sent it.
    #[must_use]
    pub fn element(&self, meeting: &ListedMeeting) -> &str {
        self.text.get(meeting.element.clone()).unwrap_or_default()
    }
}

/// Collects the meetings while a response is walked.
#[derive(Default)]
struct MeetingListParser<'a> {
    path: Vec<&'a str>,
    value: String,
    success: Option<bool>,
    meeting: ListedMeeting,
    meetings: Vec<ListedMeeting>,
}

impl<'a> MeetingListParser<'a> {
    fn handle_step(&mut self, step: XmlStep<'a, '_>) -> bool {
        match step {
            XmlStep::Open(name, start) => {
                self.path.push(name);
                self.value.clear();
                if self.path.len() == 3 && name == "meeting" {
                    self.meeting =
                        ListedMeeting { element: start..start, ..ListedMeeting::default() };
                }
            }
            XmlStep::Text(text) if self.path.len() <= 5 => self.value.push_str(text),
            XmlStep::Text(_) | XmlStep::Attribute(..) => {}
            XmlStep::Close(end) => {
                self.close_element(end);
                self.path.pop();
                self.value.clear();
            }
        }
        true
    }

    fn close_element(&mut self, end: usize) {
        let value = self.value.trim();
        match self.path[..] {
            ["response", "returncode"] => self.success = Some(value == "SUCCESS"),
            ["response", "meetings", "meeting"] => {
                self.meeting.element.end = end;
                self.meetings.push(std::mem::take(&mut self.meeting));
            }
            ["response", "meetings", "meeting", field] => {
                self.meeting.set_field(field, &self.value);
            }
            ["response", "meetings", "meeting", "metadata", name] => {
                let (name, value) = (name.to_owned(), self.value.clone());
                self.meeting.metadata.push((name, value));
            }
            _ => {}
        }
    }
}

impl ListedMeeting {
    fn set_field(&mut self, field: &str, raw: &str) {
        let number = || raw.trim().parse().unwrap_or(0);
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match field {
            "meetingID" => raw.clone_into(&mut self.id),
            "meetingName" => raw.clone_into(&mut self.name),
            "createTime" => self.create_time_ms = raw.trim().parse().unwrap_or(0),
            "participantCount" => self.participants = number(),
            "videoCount" => self.videos = number(),
            "isBreakout" => self.is_breakout = raw.trim() == "true",
            "voiceBridge" => self.voice_bridge = text(raw.trim()),
            "moderatorPW" => self.moderator_pw = text(raw),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO_MEETINGS: &str = "<response><returncode>SUCCESS</returncode>\n<meetings>\
        <meeting><meetingName>A &amp; b</meetingName><meetingID>a&lt;1 </meetingID>\
        <createTime>1700000000123</createTime><participantCount>12</participantCount>\
        <moderatorCount>2</moderatorCount><voiceBridge>12345</voiceBridge><moderatorPW>m p</moderatorPW><videoCount>3</videoCount><attendees><attendee>\
        <userID>meetingID</userID></attendee></attendees>\
        <metadata><tenant-id><![CDATA[t&1]]></tenant-id><empty/></metadata><new x=\"1\">y</new>\
        <isBreakout>false</isBreakout></meeting>\
        <meeting ><meetingID>b</meetingID><isBreakout>true</isBreakout>\
        <parentMeetingID>p-1</parentMeetingID></meeting></meetings></response>";

    #[test]
    fn meetings_are_read_and_kept_byte_for_byte() {
        let list = MeetingList::read(TWO_MEETINGS.as_bytes()).unwrap();
        let [a, b] = &list.meetings[..] else { panic!("two meetings") };
        assert_eq!((a.id.as_str(), a.create_time_ms), ("a<1 ", 1_700_000_000_123));
        assert_eq!((a.participants, a.videos), (12, 3));
        assert_eq!((a.meta("tenant-id"), a.meta("empty")), (Some("t&1"), Some("")));
        assert_eq!(
            (a.voice_bridge.as_deref(), a.moderator_pw.as_deref()),
            (Some("12345"), Some("m p"))
        );
        assert!(b.is_breakout && b.participants == 0 && b.voice_bridge.is_none());
        assert!(list.element(a).starts_with("<meeting><meetingName>A &amp; b"));
        assert!(list.element(a).ends_with("</isBreakout></meeting>"));
        assert!(TWO_MEETINGS.contains(&format!("{}{}", list.element(a), list.element(b))));
    }

    #[test]
    fn a_byte_order_mark_does_not_shift_the_elements() {
        let marked = format!("\u{feff}<?xml version=\"1.0\"?>\n<!-- x -->{TWO_MEETINGS}");
        let list = MeetingList::read(marked.as_bytes()).unwrap();
        assert_eq!(list.meetings.len(), 2);
        assert!(list.element(&list.meetings[0]).starts_with("<meeting><meetingName>"));
        assert!(list.element(&list.meetings[1]).ends_with("</meeting>"));
    }

    #[test]
    fn an_empty_list_is_valid_and_a_failed_response_is_an_error() {
        let empty = "<response><returncode>SUCCESS</returncode><meetings/></response>";
        assert!(MeetingList::read(empty.as_bytes()).unwrap().meetings.is_empty());
        let failed = "<response><returncode>FAILED</returncode></response>";
        assert!(MeetingList::read(failed.as_bytes()).is_err());
        assert!(MeetingList::read(&TWO_MEETINGS.as_bytes()[..TWO_MEETINGS.len() - 3]).is_err());
    }

    proptest! {
        #[test]
        fn mutated_responses_do_not_panic(position in 0usize..800, byte in any::<u8>()) {
            let mut bytes = TWO_MEETINGS.as_bytes().to_vec();
            let position = position % bytes.len();
            bytes[position] = byte;
            if let Ok(list) = MeetingList::read(&bytes) {
                for meeting in &list.meetings {
                    let _ = list.element(meeting);
                }
            }
        }
    }
}
