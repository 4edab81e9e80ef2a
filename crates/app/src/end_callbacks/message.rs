//! The messages that tell front-ends of an end.

use bbb::query::encode;
use domain::Timestamp;

use crate::ports::end_callbacks::{END_CALLBACK_URL, MEETING_ENDED_URL};
use crate::ports::{EndCallback, MessageTopic, OutboxMessage};

/// Returns the messages that tell all addresses of an end callback.
pub(super) fn end_messages(callback: &EndCallback, now: Timestamp) -> Vec<OutboxMessage> {
    let addresses = &callback.addresses;
    let end_callback = addresses.end_callback_url.as_ref().map(|url| {
        let marks = callback.recording_marks.unwrap_or(false);
        (END_CALLBACK_URL, append_end_parameters(url, marks, &callback.key.id))
    });
    let meeting_ended = addresses.meeting_ended_url.clone().map(|url| (MEETING_ENDED_URL, url));
    let message = |(parameter, url): (&str, String)| OutboxMessage {
        id: EndCallback::message_id(&callback.id, parameter),
        topic: MessageTopic::MeetingEnded,
        tenant: callback.key.tenant.clone(),
        meeting_id: callback.key.id.clone(),
        record_id: None,
        url,
        body: None,
        secret_hint: None,
        posted_at: now,
        attempts: 0,
        failure: None,
        due_at: Some(now),
    };
    end_callback.into_iter().chain(meeting_ended).map(message).collect()
}

/// Appends what BBB appends to `meta_endCallbackUrl`, after the parameters that the URL has.
fn append_end_parameters(url: &str, recording_marks: bool, meeting_id: &str) -> String {
    let (before, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let separator = match before.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let id = encode(meeting_id);
    format!("{before}{separator}recordingmarks={recording_marks}&meetingID={id}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_those_of_the_url() {
        for (url, expected) in [
            ("https://a/x", "https://a/x?recordingmarks=true&meetingID=m"),
            ("https://a/x?", "https://a/x?recordingmarks=true&meetingID=m"),
            ("https://a/x?b=%2F#c?d", "https://a/x?b=%2F&recordingmarks=true&meetingID=m#c?d"),
            ("https://a/x?b&", "https://a/x?b&recordingmarks=true&meetingID=m"),
            ("", "?recordingmarks=true&meetingID=m"),
        ] {
            assert_eq!(append_end_parameters(url, true, "m"), expected);
        }
        let hostile = append_end_parameters("https://a/", false, "a&b=c#d é");
        assert_eq!(hostile.matches(['&', '#', ' ']).count(), 1, "{hostile}");
    }
}
