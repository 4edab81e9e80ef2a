//! Parses responses to `getMeetings`: the fields of each meeting that the balancer needs, and the
//! position of its element, so that the element can be passed on byte for byte. A meeting that cannot
//! be read does not keep the others from being read.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use crate::numbers::read_number;
use crate::recovery::recover_meetings;
use crate::repair::repair_element;
use crate::response::{InvalidResponse, decode_body};
use crate::xml::{XmlStep, walk};

/// Largest number of users or cameras of a meeting that is believed.
const MAX_COUNT: u32 = 100_000;
/// Latest time of creation that is believed: the end of the year 9999.
const MAX_TIME_MS: i64 = 253_402_300_799_999;
/// Most ids of unreadable meetings that are kept.
const MAX_UNREADABLE_IDS: usize = 10_000;
/// Longest id of an unreadable meeting. BBB allows 256 characters.
const MAX_ID_BYTES: usize = 2_048;
/// `parentMeetingID` of a meeting that is no breakout room.
const NO_PARENT: &str = "bbb-none";

/// One `<meeting>` of a response to `getMeetings`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedMeeting {
    /// Byte range of the element in the text of the response.
    pub element: Range<usize>,
    /// `meetingID`: the external id that front-ends use.
    pub id: String,
    /// `internalMeetingID`; empty if absent.
    pub internal_id: String,
    /// `meetingName`.
    pub name: String,
    /// `createTime` in ms since 1970; 0 if absent or unusable.
    pub create_time_ms: i64,
    /// `participantCount`: number of users, moderators included. If it is absent or unusable, the
    /// number of attendees that are listed, if there are any.
    pub participants: Option<u32>,
    /// `videoCount`: number of cameras; 0 if absent or unusable.
    pub videos: u32,
    /// `isBreakout`; if it is neither true nor false, whether a parent is named.
    pub is_breakout: bool,
    /// `voiceBridge`.
    pub voice_bridge: Option<String>,
    /// `moderatorPW`, which newer BBB releases no longer send.
    pub moderator_pw: Option<String>,
    /// `metadata/*`: names, as sent (BBB lower-cases them), and values.
    pub metadata: Vec<(String, String)>,
    /// The fields whose values are unusable, or written as BBB does not write them.
    pub odd_fields: Vec<&'static str>,
}

/// The meetings of a response that could not be read. They are on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadableElements {
    /// Ids of such meetings, as far as they were recognised.
    pub ids: BTreeSet<String>,
    /// Whether there are, or may be, others whose ids were not recognised.
    pub has_unknown: bool,
}

impl UnreadableElements {
    /// Adds a meeting by its id, and returns whether the id was recognised.
    pub(crate) fn add_id(&mut self, id: String) -> bool {
        let is_full = self.ids.len() >= MAX_UNREADABLE_IDS;
        if id.is_empty() || id.len() > MAX_ID_BYTES || is_full {
            self.has_unknown = true;
            return false;
        }
        self.ids.insert(id);
        true
    }
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
    /// The response, followed by the elements of meetings that were repaired.
    text: String,
    /// The meetings that could be read, in the server's order.
    pub meetings: Vec<ListedMeeting>,
    /// The others.
    pub unreadable: UnreadableElements,
    /// Whether the response is so far from well-formed that it had to be read meeting by meeting.
    pub was_recovered: bool,
}

impl MeetingList {
    /// Parses a complete response. If it is not well-formed, the meetings that can be read are.
    ///
    /// # Errors
    /// When it does not have the `returncode` `SUCCESS` or no list of meetings.
    pub fn read(body: &[u8]) -> Result<Self, InvalidResponse> {
        Self::read_at_most(body, usize::MAX)
    }

    /// Parses a complete response with at most so many meetings, like [`Self::read`]. Nothing is kept
    /// of a response with more.
    ///
    /// # Errors
    /// Like [`Self::read`], and when there are more meetings.
    pub fn read_at_most(body: &[u8], max_meetings: usize) -> Result<Self, InvalidResponse> {
        let decoded = decode_body(body)?;
        if count_elements(decoded.as_bytes(), max_meetings) > max_meetings {
            return Err(InvalidResponse::TooManyMeetings(max_meetings));
        }
        let mut text = decoded.into_owned();
        let mut parser = MeetingListParser::default();
        if let Err(reason) = walk(&text, |step| parser.handle_step(step)) {
            let recovered = recover_meetings(&text, reason)?;
            text.push_str(&recovered.repaired);
            let (meetings, unreadable) = (recovered.meetings, recovered.unreadable);
            return Ok(Self { text, meetings, unreadable, was_recovered: true });
        }
        let MeetingListParser { success, meetings, unreadable, .. } = parser;
        match success {
            Some(true) => Ok(Self { text, meetings, unreadable, was_recovered: false }),
            Some(false) => Err(InvalidResponse::Failed),
            None => Err(InvalidResponse::NoReturncode),
        }
    }

    /// Returns the element of a meeting as the server sent it.
    #[must_use]
    pub fn element(&self, meeting: &ListedMeeting) -> &str {
        self.text.get(meeting.element.clone()).unwrap_or_default()
    }

    /// Returns the element of a meeting as it may be passed on: as the server sent it if that is
    /// well-formed, and otherwise without its broken parts. `None` if nothing is left.
    #[must_use]
    pub fn well_formed_element(&self, meeting: &ListedMeeting) -> Option<Cow<'_, str>> {
        repair_element(self.element(meeting)).map(|repaired| repaired.text)
    }
}

/// Counts the beginnings of `<meeting>` elements, up to one more than `max`.
fn count_elements(body: &[u8], max: usize) -> usize {
    let mut parts = body.split(|byte| *byte == b'<');
    parts.next();
    let names = parts.filter_map(|part| part.strip_prefix(b"meeting"));
    let is_end = |rest: &&[u8]| rest.first().is_none_or(|byte| b">/ \t\r\n".contains(byte));
    names.filter(is_end).take(max.saturating_add(1)).count()
}

/// Collects the meetings while a response is walked.
#[derive(Default)]
pub(crate) struct MeetingListParser<'a> {
    path: Vec<&'a str>,
    value: String,
    success: Option<bool>,
    meeting: MeetingParser,
    meetings: Vec<ListedMeeting>,
    unreadable: UnreadableElements,
}

/// A meeting whose end was not read yet.
#[derive(Default)]
struct MeetingParser {
    meeting: ListedMeeting,
    attendees: u32,
    has_parent: bool,
    /// Ids before the last one. There are none unless the ends and starts of meetings are missing.
    earlier_ids: Vec<String>,
}

impl<'a> MeetingListParser<'a> {
    /// Creates a parser for elements that stand in the list of a response.
    pub(crate) fn within_meetings() -> Self {
        Self { path: vec!["response", "meetings"], ..Self::default() }
    }

    /// Returns the meetings that were read.
    pub(crate) fn into_meetings(self) -> Vec<ListedMeeting> {
        self.meetings
    }

    /// Takes the next step. The result is always true.
    pub(crate) fn handle_step(&mut self, step: XmlStep<'a, '_>) -> bool {
        match step {
            XmlStep::Open(name, start) => {
                self.path.push(name);
                self.value.clear();
                if self.path.len() == 3 && name == "meeting" {
                    self.meeting = MeetingParser::default();
                    self.meeting.meeting.element = start..start;
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
                let mut meeting = std::mem::take(&mut self.meeting);
                let earlier_ids = std::mem::take(&mut meeting.earlier_ids);
                let meeting = meeting.finish(end);
                if earlier_ids.is_empty() {
                    self.meetings.push(meeting);
                } else {
                    for id in earlier_ids.into_iter().chain([meeting.id]) {
                        self.unreadable.add_id(id);
                    }
                }
            }
            ["response", "meetings", "meeting", field] => {
                self.meeting.set_field(field, &self.value);
            }
            ["response", "meetings", "meeting", "attendees", "attendee"] => {
                self.meeting.attendees = self.meeting.attendees.saturating_add(1);
            }
            ["response", "meetings", "meeting", "metadata", name] => {
                let (name, value) = (name.to_owned(), self.value.clone());
                self.meeting.meeting.metadata.push((name, value));
            }
            _ => {}
        }
    }
}

/// Returns the time of a `createTime`, in ms since 1970, however its digits are grouped. `None` if it
/// is no time that can be believed.
#[must_use]
pub fn parse_create_time(text: &str) -> Option<i64> {
    let time = i64::try_from(read_number(text)?.value).ok()?;
    (time <= MAX_TIME_MS).then_some(time)
}

pub(crate) fn parse_count(text: &str) -> Option<u32> {
    let count = u32::try_from(read_number(text)?.value).ok()?;
    (count <= MAX_COUNT).then_some(count)
}

impl MeetingParser {
    fn set_field(&mut self, field: &str, raw: &str) {
        let meeting = &mut self.meeting;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match field {
            "meetingID" => {
                let earlier = std::mem::replace(&mut meeting.id, raw.to_owned());
                self.earlier_ids.extend(text(&earlier));
            }
            "internalMeetingID" => raw.trim().clone_into(&mut meeting.internal_id),
            "meetingName" => raw.clone_into(&mut meeting.name),
            "createTime" => {
                let time = self.note_number("createTime", raw, parse_create_time(raw));
                self.meeting.create_time_ms = time.unwrap_or(0);
            }
            "participantCount" => {
                let count = self.note_number("participantCount", raw, parse_count(raw));
                self.meeting.participants = count;
            }
            "videoCount" => {
                let count = self.note_number("videoCount", raw, parse_count(raw));
                self.meeting.videos = count.unwrap_or(0);
            }
            "isBreakout" => match raw.trim() {
                "true" => meeting.is_breakout = true,
                "false" => meeting.is_breakout = false,
                _ => self.note_odd("isBreakout"),
            },
            "parentMeetingID" => self.has_parent = !matches!(raw.trim(), "" | NO_PARENT),
            "voiceBridge" => meeting.voice_bridge = text(raw.trim()),
            "moderatorPW" => meeting.moderator_pw = text(raw),
            _ => {}
        }
    }

    /// Returns the value of a field, and notes if there is none or if it was written with separators.
    fn note_number<T>(&mut self, field: &'static str, raw: &str, value: Option<T>) -> Option<T> {
        let is_plain = read_number(raw).is_some_and(|number| number.is_plain);
        if value.is_none() || !is_plain {
            self.note_odd(field);
        }
        value
    }

    fn note_odd(&mut self, field: &'static str) {
        if !self.meeting.odd_fields.contains(&field) {
            self.meeting.odd_fields.push(field);
        }
    }

    /// Returns the meeting, whose element ends there.
    fn finish(self, end: usize) -> ListedMeeting {
        let mut meeting = self.meeting;
        meeting.element.end = end;
        let listed = (1..=MAX_COUNT).contains(&self.attendees).then_some(self.attendees);
        meeting.participants = meeting.participants.or(listed);
        if meeting.odd_fields.contains(&"isBreakout") {
            meeting.is_breakout = self.has_parent;
        }
        meeting
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
        assert_eq!((a.participants, a.videos), (Some(12), 3));
        assert_eq!((a.meta("tenant-id"), a.meta("empty")), (Some("t&1"), Some("")));
        assert_eq!(
            (a.voice_bridge.as_deref(), a.moderator_pw.as_deref()),
            (Some("12345"), Some("m p"))
        );
        assert!(b.is_breakout && b.participants.is_none() && b.voice_bridge.is_none());
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
    }

    fn read_one(fields: &str) -> ListedMeeting {
        let text = format!(
            "<response><returncode>SUCCESS</returncode><meetings><meeting><meetingID>m</meetingID>\
             {fields}</meeting></meetings></response>"
        );
        MeetingList::read(text.as_bytes()).unwrap().meetings.remove(0)
    }

    #[test]
    fn numbers_with_separators_are_read_and_noticed() {
        let meeting = read_one(
            "<createTime>1,700,000,000,123</createTime><participantCount>1.234</participantCount>\
             <videoCount>1 000</videoCount>",
        );
        assert_eq!((meeting.create_time_ms, meeting.videos), (1_700_000_000_123, 1000));
        assert_eq!(meeting.participants, Some(1234));
        assert_eq!(meeting.odd_fields, ["createTime", "participantCount", "videoCount"]);
        let plain = read_one("<createTime> 5 </createTime><participantCount>5</participantCount>");
        assert_eq!((plain.create_time_ms, plain.participants), (5, Some(5)));
        assert_eq!(plain.odd_fields, [] as [&str; 0]);
    }

    #[test]
    fn unusable_numbers_are_unknown_or_0() {
        for number in ["", " ", "-5", "1000000000000", "many", "1.5", "100001"] {
            let meeting = read_one(&format!(
                "<createTime>x{number}</createTime><participantCount>{number}</participantCount>\
                 <videoCount>{number}</videoCount>"
            ));
            assert_eq!((meeting.participants, meeting.videos), (None, 0), "{number}");
            assert_eq!(meeting.create_time_ms, 0);
            assert_eq!(meeting.odd_fields, ["createTime", "participantCount", "videoCount"]);
        }
        assert_eq!(read_one("<createTime>999999999999999</createTime>").create_time_ms, 0);
        assert_eq!(read_one("<createTime>-1</createTime>").create_time_ms, 0);
        assert_eq!(read_one("").odd_fields, [] as [&str; 0]);
    }

    #[test]
    fn attendees_are_counted_if_their_number_is_unusable() {
        let attendees = "<attendees><attendee><userID>a</userID></attendee><attendee/></attendees>";
        let users = |count: &str| read_one(&format!("{count}{attendees}")).participants;
        assert_eq!(users("<participantCount>-1</participantCount>"), Some(2));
        assert_eq!(users(""), Some(2));
        assert_eq!(users("<participantCount>7</participantCount>"), Some(7));
        assert_eq!(read_one("<attendees/>").participants, None);
    }

    #[test]
    fn breakout_rooms_are_known_by_their_parent_if_the_flag_is_unusable() {
        let parent = "<parentMeetingID>p</parentMeetingID>";
        let is_breakout = |fields: &str| read_one(fields).is_breakout;
        assert!(is_breakout(&format!("<isBreakout>maybe</isBreakout>{parent}")));
        assert!(!is_breakout("<isBreakout/>"));
        assert!(!is_breakout("<isBreakout/><parentMeetingID>bbb-none</parentMeetingID>"));
        assert!(!is_breakout(&format!("<isBreakout>false</isBreakout>{parent}")));
        assert_eq!(read_one("<isBreakout>1</isBreakout>").odd_fields, ["isBreakout"]);
    }

    #[test]
    fn a_meeting_with_two_ids_is_unreadable() {
        let text = "<response><returncode>SUCCESS</returncode><meetings><meeting>\
                    <meetingID>a</meetingID><meetingID>b</meetingID></meeting></meetings></response>";
        let list = MeetingList::read(text.as_bytes()).unwrap();
        assert_eq!((list.meetings, list.was_recovered), (vec![], false));
        assert!(list.unreadable.ids.iter().eq(["a", "b"]) && !list.unreadable.has_unknown);
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
