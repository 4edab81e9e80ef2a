//! Renders responses as XML, with the fields in BigBlueButton's order.

use std::fmt::Write;

use crate::meeting::LiveMeeting;
use crate::odd_content::{NumberFormat, replace_texts};

const DIAL_NUMBER: &str = "613-555-1234";

/// Renders a response with the return code SUCCESS and these elements.
pub(crate) fn success_response(inner: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode>{inner}</response>")
}

/// Renders a response with the return code FAILED.
pub(crate) fn failed_response(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{}</messageKey>\
         <message>{}</message></response>",
        escape_xml(key),
        escape_xml(message)
    )
}

/// Renders a response with the return code FAILED in the form of BigBlueButton's older code.
pub(crate) fn errors_response(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><errors><error><key>{}</key>\
         <message>{}</message></error></errors></response>",
        escape_xml(key),
        escape_xml(message)
    )
}

/// Renders the response to `create`.
pub(crate) fn create_response(
    meeting: &LiveMeeting,
    now_ms: i64,
    key: &str,
    message: &str,
) -> String {
    success_response(&format!(
        "<meetingID>{}</meetingID><internalMeetingID>{}</internalMeetingID>\
         <parentMeetingID>bbb-none</parentMeetingID><attendeePW>{}</attendeePW>\
         <moderatorPW>{}</moderatorPW><createTime>{}</createTime><voiceBridge>{}</voiceBridge>\
         <dialNumber>{DIAL_NUMBER}</dialNumber><createDate>{}</createDate>\
         <hasUserJoined>{}</hasUserJoined><duration>{}</duration>\
         <hasBeenForciblyEnded>false</hasBeenForciblyEnded><messageKey>{key}</messageKey>\
         <message>{message}</message>",
        escape_xml(&meeting.id),
        meeting.internal_id,
        escape_xml(&meeting.attendee_pw),
        escape_xml(&meeting.moderator_pw),
        meeting.created_ms,
        escape_xml(&meeting.voice_bridge),
        format_date(meeting.created_ms),
        meeting.attendance(now_ms).joined,
        meeting.duration,
    ))
}

/// Renders the response to `getMeetings`.
pub(crate) fn meetings_response<'a>(
    meetings: impl Iterator<Item = &'a LiveMeeting>,
    numbers: NumberFormat,
    now_ms: i64,
) -> String {
    let mut inner = String::from("<meetings>");
    for meeting in meetings {
        inner.push_str("<meeting>");
        write_meeting(&mut inner, meeting, numbers, now_ms);
        inner.push_str("</meeting>");
    }
    let is_empty = inner == "<meetings>";
    inner.push_str("</meetings>");
    if is_empty {
        inner.push_str(
            "<messageKey>noMeetings</messageKey>\
             <message>no meetings were found on this server</message>",
        );
    }
    success_response(&inner)
}

/// Renders the response to `getMeetingInfo`.
pub(crate) fn meeting_info_response(
    meeting: &LiveMeeting,
    numbers: NumberFormat,
    now_ms: i64,
) -> String {
    let mut inner = String::new();
    write_meeting(&mut inner, meeting, numbers, now_ms);
    success_response(&inner)
}

/// Writes the elements of one meeting, then what is odd about them.
fn write_meeting(out: &mut String, meeting: &LiveMeeting, numbers: NumberFormat, now_ms: i64) {
    let start = out.len();
    write_elements(out, meeting, numbers, now_ms);
    out.push_str(&meeting.odd_content.meeting_xml);
    replace_texts(out, start, &meeting.odd_content.meeting_texts);
}

/// Writes the elements of one meeting.
fn write_elements(out: &mut String, meeting: &LiveMeeting, numbers: NumberFormat, now_ms: i64) {
    let attendance = meeting.attendance(now_ms);
    let listeners = attendance.users.saturating_sub(attendance.videos);
    write_element(out, "meetingName", escape_xml(&meeting.name));
    write_element(out, "meetingID", escape_xml(&meeting.id));
    write_element(out, "internalMeetingID", &meeting.internal_id);
    write_element(out, "createTime", meeting.created_ms);
    write_element(out, "createDate", format_date(meeting.created_ms));
    write_element(out, "voiceBridge", escape_xml(&meeting.voice_bridge));
    write_element(out, "dialNumber", DIAL_NUMBER);
    write_element(out, "attendeePW", escape_xml(&meeting.attendee_pw));
    write_element(out, "moderatorPW", escape_xml(&meeting.moderator_pw));
    write_element(out, "running", attendance.users > 0);
    write_element(out, "duration", numbers.format(meeting.duration));
    write_element(out, "hasUserJoined", attendance.joined);
    write_element(out, "recording", meeting.record);
    write_element(out, "hasBeenForciblyEnded", false);
    write_element(out, "startTime", if attendance.joined { meeting.created_ms + 1_000 } else { 0 });
    write_element(out, "endTime", 0);
    write_element(out, "participantCount", numbers.format(attendance.users));
    write_element(out, "listenerCount", numbers.format(listeners));
    let voices = attendance.videos.min(attendance.users);
    write_element(out, "voiceParticipantCount", numbers.format(voices));
    write_element(out, "videoCount", numbers.format(attendance.videos));
    write_element(out, "maxUsers", numbers.format(meeting.max_users));
    write_element(out, "moderatorCount", numbers.format(attendance.moderators));
    out.push_str("<attendees>");
    for index in 0..attendance.users {
        let (moderator, video) = (index < attendance.moderators, index < attendance.videos);
        let start = out.len();
        write_attendee(out, index, moderator, video);
        write_custom_data(out, meeting.custom_data.get(&index));
        if index == 0 {
            out.push_str(&meeting.odd_content.attendee_xml);
            replace_texts(out, start, &meeting.odd_content.attendee_texts);
        }
        out.push_str("</attendee>");
    }
    out.push_str("</attendees><metadata>");
    for (name, value) in &meeting.meta {
        write_element(out, name, escape_xml(value));
    }
    out.push_str("</metadata>");
    write_element(out, "isBreakout", meeting.breakout);
}

/// Writes the elements of one attendee with generated attributes, since users are only counted.
fn write_attendee(out: &mut String, index: u32, moderator: bool, video: bool) {
    let role = if moderator { "MODERATOR" } else { "VIEWER" };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<attendee><userID>w_{index}</userID><fullName>User {index}</fullName><role>{role}</role>\
         <isPresenter>{}</isPresenter><isListeningOnly>{}</isListeningOnly>\
         <hasJoinedVoice>{video}</hasJoinedVoice><hasVideo>{video}</hasVideo>\
         <clientType>HTML5</clientType>",
        index == 0,
        !video,
    );
}

/// Writes what a user gave when joining, as BigBlueButton does: names are element names, whatever they are.
fn write_custom_data(out: &mut String, data: Option<&Vec<(String, String)>>) {
    let Some(data) = data else { return };
    out.push_str("<customdata>");
    for (name, value) in data {
        write_element(out, name, format_args!("<![CDATA[{value}]]>"));
    }
    out.push_str("</customdata>");
}

fn write_element(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}>{value}</{name}>");
}

/// Escapes text for XML. Control characters are kept, since a balancer must tolerate them.
pub(crate) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Formats a time as BigBlueButton does: `Thu Nov 13 02:13:20 UTC 2025`.
fn format_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let seconds = ms.max(0) / 1_000;
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS.get(usize::try_from(days % 7).unwrap_or(0)).unwrap_or(&"Thu");
    let (year, month, day) = calendar_date(days);
    let (hour, minute) = (second_of_day / 3_600, second_of_day / 60 % 60);
    let second = second_of_day % 60;
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Returns year, month and day of a day that is counted from 1 January 1970.
fn calendar_date(mut days: i64) -> (i64, &'static str, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let months = [
        ("Jan", 31),
        ("Feb", 28 + i64::from(leap(year))),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    for (name, length) in months {
        if days < length {
            return (year, name, days + 1);
        }
        days -= length;
    }
    (year, "Dec", 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_formatted_like_those_of_bigbluebutton() {
        assert_eq!(format_date(1_763_000_000_123), "Thu Nov 13 02:13:20 UTC 2025");
        assert_eq!(format_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(format_date(1_709_210_096_000), "Thu Feb 29 12:34:56 UTC 2024");
        assert_eq!(format_date(1_704_067_199_000), "Sun Dec 31 23:59:59 UTC 2023");
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape_xml("a<b>&amp;\"'"), "a&lt;b&gt;&amp;amp;\"'");
    }
}
