//! The message that tells a front-end of an end.

use bbb::query::encode;
use domain::Timestamp;

use crate::ports::{EndCallback, EndParameter, MessageTopic, OutboxMessage};

/// Returns the message that tells of the end.
pub(super) fn end_message(callback: &EndCallback, now: Timestamp) -> OutboxMessage {
    let url = match callback.parameter {
        EndParameter::EndCallbackUrl => {
            let marks = callback.recording_marks.unwrap_or(false);
            append_end_parameters(&callback.url, marks, &callback.key.id)
        }
        EndParameter::MeetingEndedUrl => callback.url.clone(),
    };
    OutboxMessage {
        id: callback.message_id(),
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
    }
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
