//! Answers with odd parts. A server that sends them is well: a bad part costs only itself.

/// What is odd about the meetings in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OddPart {
    /// The custom data of an attendee has a name that XML forbids.
    CustomData,
    /// The element with a meeting's id is broken, so that it is unknown which meeting that is.
    MeetingId,
    /// A meeting cannot be read apart from its id.
    InternalId,
    /// The numbers of users cannot be used.
    Counts,
    /// Times have separators.
    Times,
}

/// Texts that are no number of users.
const UNUSABLE_COUNTS: [&str; 4] = ["", "-1", "many", "99999999999"];

impl OddPart {
    /// Returns the answer to a call of this name with the odd part. Answers that describe no meeting
    /// stay as they are.
    #[must_use]
    pub(crate) fn put_into(self, call: &str, body: &str) -> String {
        let is_list = call == "getMeetings";
        if !is_list && call != "getMeetingInfo" {
            return body.to_owned();
        }
        match self {
            Self::CustomData => replace_one(
                body,
                "<attendees/>",
                "<attendees><attendee><userID>u</userID><customdata><my key>x</my key>\
                 </customdata></attendee></attendees>",
            ),
            Self::MeetingId if is_list => replace_one(body, "<meetingID>", "<meetingID"),
            Self::InternalId if is_list => {
                replace_one(body, "<internalMeetingID>", "<internalMeetingID><<")
            }
            Self::Counts => {
                let index = body.len() % UNUSABLE_COUNTS.len();
                map_elements(body, "participantCount", |_| UNUSABLE_COUNTS[index].to_owned())
            }
            Self::Times => map_elements(body, "createTime", group_digits),
            Self::MeetingId | Self::InternalId => body.to_owned(),
        }
    }
}

/// Returns an answer with other numbers of users: large ones become small.
#[must_use]
pub(crate) fn invert_counts(body: &str) -> String {
    map_elements(body, "participantCount", |count| {
        40_u32.saturating_sub(count.parse().unwrap_or(0)).to_string()
    })
}

/// Replaces the first or the last occurrence.
fn replace_one(body: &str, from: &str, to: &str) -> String {
    let is_first = body.len().is_multiple_of(2);
    let found = if is_first { body.find(from) } else { body.rfind(from) };
    match found {
        Some(at) => format!("{}{to}{}", &body[..at], &body[at + from.len()..]),
        None => body.to_owned(),
    }
}

/// Replaces the text of all elements with this name.
fn map_elements(body: &str, name: &str, map: impl Fn(&str) -> String) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut mapped = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once(&open) {
        let Some((text, after)) = after.split_once(&close) else { break };
        mapped.push_str(before);
        mapped.push_str(&format!("{open}{}{close}", map(text)));
        rest = after;
    }
    mapped + rest
}

fn group_digits(digits: &str) -> String {
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let mut parts: Vec<String> = groups.map(std::borrow::Cow::into_owned).collect();
    if !head.is_empty() {
        parts.insert(0, head.to_owned());
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_parts_change_what_they_name() {
        let body = "<meeting><meetingID>a</meetingID><createTime>1800000000123</createTime>\
            <participantCount>7</participantCount></meeting>";
        let list = |part: OddPart| part.put_into("getMeetings", body);
        assert!(list(OddPart::Times).contains(">1,800,000,000,123<"));
        assert!(list(OddPart::MeetingId).contains("<meetingIDa<"));
        assert!(!list(OddPart::Counts).contains(">7<"));
        assert!(invert_counts(body).contains(">33<"));
        assert_eq!(OddPart::MeetingId.put_into("getMeetingInfo", body), body);
        assert_eq!(OddPart::Counts.put_into("create", body), body);
    }
}
