//! The XML of the answers, field by field as BigBlueButton orders it.

use std::fmt::Write;

use crate::meeting::LiveMeeting;

const DIAL_NUMBER: &str = "613-555-1234";

/// `<response>` with SUCCESS and these elements.
pub(crate) fn success_response(inner: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode>{inner}</response>")
}

/// The FAILED answer.
pub(crate) fn failed_response(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><messageKey>{}</messageKey>\
         <message>{}</message></response>",
        escape_xml(key),
        escape_xml(message)
    )
}

/// The other FAILED answer, of BigBlueButton's older code.
pub(crate) fn errors_response(key: &str, message: &str) -> String {
    format!(
        "<response><returncode>FAILED</returncode><errors><error><key>{}</key>\
         <message>{}</message></error></errors></response>",
        escape_xml(key),
        escape_xml(message)
    )
}

/// The answer to `create`.
pub(crate) fn create_response(
    meeting: &LiveMeeting,
    now_ms: i64,
    key: &str,
    message: &str,
) -> String {
    let m = meeting;
    success_response(&format!(
        "<meetingID>{}</meetingID><internalMeetingID>{}</internalMeetingID>\
         <parentMeetingID>bbb-none</parentMeetingID><attendeePW>{}</attendeePW>\
         <moderatorPW>{}</moderatorPW><createTime>{}</createTime><voiceBridge>{}</voiceBridge>\
         <dialNumber>{DIAL_NUMBER}</dialNumber><createDate>{}</createDate>\
         <hasUserJoined>{}</hasUserJoined><duration>{}</duration>\
         <hasBeenForciblyEnded>false</hasBeenForciblyEnded><messageKey>{key}</messageKey>\
         <message>{message}</message>",
        escape_xml(&m.id),
        m.internal_id,
        escape_xml(&m.attendee_pw),
        escape_xml(&m.moderator_pw),
        m.created_ms,
        escape_xml(&m.voice_bridge),
        format_date(m.created_ms),
        m.attendance(now_ms).joined,
        m.duration,
    ))
}

/// The answer to `getMeetings`.
pub(crate) fn meetings_response<'a>(
    meetings: impl Iterator<Item = &'a LiveMeeting>,
    now_ms: i64,
) -> String {
    let mut inner = String::from("<meetings>");
    for m in meetings {
        inner.push_str("<meeting>");
        write_meeting(&mut inner, m, now_ms);
        inner.push_str("</meeting>");
    }
    let none = inner == "<meetings>";
    inner.push_str("</meetings>");
    if none {
        inner.push_str(
            "<messageKey>noMeetings</messageKey>\
             <message>no meetings were found on this server</message>",
        );
    }
    success_response(&inner)
}

/// The answer to `getMeetingInfo`.
pub(crate) fn meeting_info_response(m: &LiveMeeting, now_ms: i64) -> String {
    let mut inner = String::new();
    write_meeting(&mut inner, m, now_ms);
    success_response(&inner)
}

/// The elements of one meeting.
fn write_meeting(out: &mut String, m: &LiveMeeting, now_ms: i64) {
    let crowd = m.attendance(now_ms);
    write_element(out, "meetingName", escape_xml(&m.name));
    write_element(out, "meetingID", escape_xml(&m.id));
    write_element(out, "internalMeetingID", &m.internal_id);
    write_element(out, "createTime", m.created_ms);
    write_element(out, "createDate", format_date(m.created_ms));
    write_element(out, "voiceBridge", escape_xml(&m.voice_bridge));
    write_element(out, "dialNumber", DIAL_NUMBER);
    write_element(out, "attendeePW", escape_xml(&m.attendee_pw));
    write_element(out, "moderatorPW", escape_xml(&m.moderator_pw));
    write_element(out, "running", crowd.users > 0);
    write_element(out, "duration", m.duration);
    write_element(out, "hasUserJoined", crowd.joined);
    write_element(out, "recording", m.record);
    write_element(out, "hasBeenForciblyEnded", false);
    write_element(out, "startTime", if crowd.joined { m.created_ms + 1_000 } else { 0 });
    write_element(out, "endTime", 0);
    write_element(out, "participantCount", crowd.users);
    write_element(out, "listenerCount", crowd.users.saturating_sub(crowd.videos));
    write_element(out, "voiceParticipantCount", crowd.videos.min(crowd.users));
    write_element(out, "videoCount", crowd.videos);
    write_element(out, "maxUsers", m.max_users);
    write_element(out, "moderatorCount", crowd.moderators);
    out.push_str("<attendees>");
    for i in 0..crowd.users {
        write_attendee(out, i, i < crowd.moderators, i < crowd.videos);
    }
    out.push_str("</attendees><metadata>");
    for (name, value) in &m.meta {
        write_element(out, name, escape_xml(value));
    }
    out.push_str("</metadata>");
    write_element(out, "isBreakout", m.breakout);
}

/// The `i`th user: made up, as users are no more than a count.
fn write_attendee(out: &mut String, i: u32, moderator: bool, video: bool) {
    let role = if moderator { "MODERATOR" } else { "VIEWER" };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<attendee><userID>w_{i}</userID><fullName>User {i}</fullName><role>{role}</role>\
         <isPresenter>{}</isPresenter><isListeningOnly>{}</isListeningOnly>\
         <hasJoinedVoice>{video}</hasJoinedVoice><hasVideo>{video}</hasVideo>\
         <clientType>HTML5</clientType></attendee>",
        i == 0,
        !video,
    );
}

fn write_element(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "<{name}>{value}</{name}>");
}

/// Text for XML. Control characters stay: a balancer must survive them.
pub(crate) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A time as BigBlueButton spells it: `Thu Nov 13 02:13:20 UTC 2025`.
fn format_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let seconds = ms.max(0) / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS.get(usize::try_from(days % 7).unwrap_or(0)).unwrap_or(&"Thu");
    let (year, month, day) = calendar_date(days);
    let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday} {month} {day:02} {h:02}:{m:02}:{s:02} UTC {year}")
}

/// Year, month and day of a day counted from 1 January 1970.
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
    fn dates() {
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
