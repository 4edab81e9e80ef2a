//! Reads a response to `getMeetings` that is not well-formed, meeting by meeting: a `<meeting>` that
//! cannot be read ends where the next one starts.

use std::borrow::Cow;
use std::ops::Range;

use crate::meetings::{ListedMeeting, MeetingListParser, UnreadableElements};
use crate::repair::{find_opening_tag, repair_element};
use crate::response::InvalidResponse;
use crate::xml::{XmlStep, walk};

/// What could be read of a response.
#[derive(Default)]
pub(crate) struct RecoveredMeetings {
    /// The meetings whose own fields are all there.
    pub(crate) meetings: Vec<ListedMeeting>,
    /// The elements of those meetings that had to be repaired. They stand behind the text of the
    /// response, which the ranges of these meetings take into account.
    pub(crate) repaired: String,
    /// The others.
    pub(crate) unreadable: UnreadableElements,
}

/// Reads a response that is not well-formed, for that reason.
///
/// # Errors
/// When it does not say SUCCESS before its meetings, or has no list of meetings.
pub(crate) fn recover_meetings(
    text: &str,
    reason: &'static str,
) -> Result<RecoveredMeetings, InvalidResponse> {
    let starts = find_meetings(text);
    let head = &text[..starts.first().copied().unwrap_or(text.len())];
    check_returncode(head, reason)?;
    let mut recovered = RecoveredMeetings::default();
    recovered.add_head(head);
    let ends = starts.iter().copied().skip(1).chain([text.len()]);
    for (start, end) in starts.iter().copied().zip(ends) {
        recovered.add_meeting(text, start..end);
    }
    let last = &text[starts.last().copied().unwrap_or_default()..];
    let is_whole = last.contains("</meetings>") || head.contains("<meetings/>");
    recovered.unreadable.has_unknown |= !is_whole;
    let is_empty = recovered.meetings.is_empty() && recovered.unreadable.ids.is_empty();
    if is_empty && !is_whole { Err(InvalidResponse::NotXml(reason)) } else { Ok(recovered) }
}

/// Returns the offsets of the opening tags of all meetings, wherever they stand.
fn find_meetings(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut searched = 0;
    while let Some(position) = find_opening_tag(&text[searched..], "meeting") {
        starts.push(searched + position);
        searched += position + 1;
    }
    starts
}

/// Checks what a response says before its meetings.
fn check_returncode(head: &str, reason: &'static str) -> Result<(), InvalidResponse> {
    let code = head.split_once("<returncode>").map(|(_, rest)| rest);
    let code = code.and_then(|rest| rest.split_once('<')).map(|(code, _)| code.trim());
    let has_type = head.split("<response").next().is_some_and(|start| start.contains("<!DOCTYPE"));
    match code {
        Some("SUCCESS") if !has_type => Ok(()),
        Some("FAILED") => Err(InvalidResponse::Failed),
        _ => Err(InvalidResponse::NotXml(reason)),
    }
}

impl RecoveredMeetings {
    /// Adds what stands before the first meeting whose start can be recognised.
    fn add_head(&mut self, head: &str) {
        let list = head.split_once("<meetings>").map(|(_, list)| before_end(list));
        if head.contains("<meetingID") || list.is_some_and(|list| list.contains('<')) {
            self.add_unreadable(head);
        }
    }

    /// Adds the meeting that starts at the start of the range. Another one may follow in it whose
    /// own start cannot be recognised.
    fn add_meeting(&mut self, text: &str, range: Range<usize>) {
        let source = &text[range.clone()];
        let Some(element) = repair_element(source) else {
            return self.add_unreadable(source);
        };
        let read = read_meeting(&element.text).filter(|meeting| !meeting.id.is_empty());
        match read.filter(|_| !element.has_lost_fields) {
            Some(mut meeting) => {
                let start = match element.text {
                    Cow::Borrowed(_) => range.start,
                    Cow::Owned(repaired) => {
                        let start = text.len() + self.repaired.len();
                        self.repaired.push_str(&repaired);
                        start
                    }
                };
                meeting.element = start + meeting.element.start..start + meeting.element.end;
                self.meetings.push(meeting);
            }
            None => self.add_unreadable(&source[..element.end]),
        }
        let rest = &source[element.end..];
        let rest = if range.end == text.len() { before_end(rest) } else { rest };
        if rest.contains('<') {
            self.add_unreadable(rest);
        }
    }

    /// Adds the meetings of which only the ids can be recognised.
    fn add_unreadable(&mut self, source: &str) {
        let unreadable = &mut self.unreadable;
        let mut has_id = false;
        for (position, tag) in source.match_indices("<meetingID>") {
            let rest = &source[position + tag.len()..];
            let raw = &rest[..rest.find('<').unwrap_or_default()];
            let id = decode_text(raw).unwrap_or_default();
            has_id |= unreadable.add_id(id);
        }
        unreadable.has_unknown |= !has_id;
    }
}

/// Returns what stands before the end of the list.
fn before_end(text: &str) -> &str {
    text.rsplit_once("</meetings>").map_or(text, |(list, _)| list)
}

/// Reads one well-formed meeting. `None` if it is ambiguous.
fn read_meeting(element: &str) -> Option<ListedMeeting> {
    let mut parser = MeetingListParser::within_meetings();
    walk(element, |step| parser.handle_step(step)).ok()?;
    parser.into_meetings().pop()
}

/// Decodes the text of an element.
fn decode_text(raw: &str) -> Option<String> {
    let element = format!("<a>{raw}</a>");
    let element = repair_element(&element)?;
    let mut decoded = String::new();
    let walked = walk(&element.text, |step| {
        if let XmlStep::Text(text) = step {
            decoded.push_str(text);
        }
        true
    });
    walked.ok().map(|()| decoded)
}

#[cfg(test)]
mod tests;
