//! What is kept of a create, so that its meeting can be made anew: parameters and body as one sealed text.

use bbb::{Query, Response};
use bytes::Bytes;
use domain::{MeetingKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::context::App;
use crate::ports::KeptCreate;

/// Longest query and body, together, that are kept.
pub(crate) const MAX_KEPT_BYTES: usize = 256 << 10;
/// How many creation times of earlier copies of a meeting are known.
const MAX_FORMER_CREATE_TIMES: usize = 8;

/// The create of a meeting, complete enough to make it anew.
#[derive(Clone)]
pub(crate) struct CreateParameters {
    /// The query, with the passwords of the meeting.
    pub(crate) query: Query,
    /// Content type and bytes of the body.
    pub(crate) body: Option<(String, Bytes)>,
    /// `createTime` of the copies of the meeting that this one has replaced, the newest last.
    pub(crate) former_create_times: Vec<i64>,
}

/// What stands before the body.
#[derive(Serialize, Deserialize)]
struct Head {
    query: String,
    content_type: Option<String>,
    former_create_times: Vec<i64>,
}

impl CreateParameters {
    /// Returns what is kept of a create that a server has answered. Passwords that the front-end did not
    /// give are those that the server answered. `None` if the meeting cannot be made anew.
    pub(crate) fn of_create(
        mut query: Query,
        body: Option<(String, Bytes)>,
        reply: &Response,
        former_create_times: &[i64],
    ) -> Option<Self> {
        let is_breakout = query.get("isBreakout").is_some_and(|value| value.trim() == "true")
            || is_given(&query, "parentMeetingID");
        let size = query.to_text().len() + body.as_ref().map_or(0, |(_, bytes)| bytes.len());
        if is_breakout || size > MAX_KEPT_BYTES {
            return None;
        }
        let answered = [("attendeePW", &reply.attendee_pw), ("moderatorPW", &reply.moderator_pw)];
        for (name, answered) in answered {
            if let Some(password) = answered.as_ref().filter(|_| !is_given(&query, name)) {
                query.set(name, password);
            }
        }
        let newest = former_create_times.len().saturating_sub(MAX_FORMER_CREATE_TIMES);
        let former_create_times = former_create_times[newest..].to_vec();
        Some(Self { query, body, former_create_times })
    }

    /// Returns the sealed create of the meeting with this internalMeetingID; `None` if there is no key.
    pub(crate) fn seal(
        &self,
        app: &App,
        key: &MeetingKey,
        internal_id: &str,
    ) -> Option<KeptCreate> {
        let head = Head {
            query: self.query.to_text(),
            content_type: self.body.as_ref().map(|(content_type, _)| content_type.clone()),
            former_create_times: self.former_create_times.clone(),
        };
        let mut plain = serde_json::to_vec(&head).ok()?;
        plain.push(b'\n');
        plain.extend_from_slice(self.body.as_ref().map_or(&[][..], |(_, bytes)| bytes));
        let sealed = app.sealer.seal(&context(key), &plain)?;
        Some(KeptCreate { internal_id: internal_id.to_owned(), sealed })
    }

    /// Opens a kept create; `None` if it cannot be opened.
    pub(crate) fn open(app: &App, key: &MeetingKey, kept: &KeptCreate) -> Option<Self> {
        let plain = app.sealer.open(&context(key), &kept.sealed)?;
        let end_of_head = plain.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&plain[..end_of_head]).ok()?;
        let bytes = Bytes::copy_from_slice(&plain[end_of_head + 1..]);
        Some(Self {
            query: Query::parse(&head.query),
            body: head.content_type.map(|content_type| (content_type, bytes)),
            former_create_times: head.former_create_times,
        })
    }

    /// Whether an earlier copy of the meeting had this `createTime`.
    pub(crate) fn had_create_time(&self, create_time: &str) -> bool {
        let create_time = create_time.trim().parse::<i64>();
        create_time.is_ok_and(|create_time| self.former_create_times.contains(&create_time))
    }

    /// Returns the creation times of all copies, if the copy that began at this time is replaced.
    pub(crate) fn create_times_with(&self, replaced: Timestamp) -> Vec<i64> {
        self.former_create_times.iter().copied().chain([replaced.0]).collect()
    }
}

/// Whether a parameter has a value.
fn is_given(query: &Query, name: &str) -> bool {
    query.get(name).is_some_and(|value| !value.trim().is_empty())
}

/// What a sealed create belongs to, unambiguously. Copies of a meeting share it.
fn context(key: &MeetingKey) -> String {
    let tenant = key.tenant.as_deref().unwrap_or_default();
    format!("{}:{tenant}{}", tenant.len(), key.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &[u8] =
        b"<response><returncode>SUCCESS</returncode><attendeePW>a&amp;p</attendeePW>\
        <moderatorPW>mp</moderatorPW><dialNumber>613-555-1234</dialNumber></response>";

    fn reply() -> Response {
        Response::read(REPLY).unwrap()
    }

    fn kept(query: &str) -> Option<CreateParameters> {
        CreateParameters::of_create(Query::parse(query), None, &reply(), &[])
    }

    #[test]
    fn the_servers_passwords_are_kept_if_the_front_end_gave_none() {
        let query = kept("meetingID=m&moderatorPW=own&attendeePW=").unwrap().query;
        assert_eq!(query.get("attendeePW").unwrap(), "a&p");
        assert_eq!(query.get("moderatorPW").unwrap(), "own");
        assert!(!query.contains("dialNumber"), "a number of the dead server's own");
    }

    #[test]
    fn breakout_rooms_and_long_creates_are_not_kept() {
        assert!(kept("meetingID=m&isBreakout=true").is_none());
        assert!(kept("meetingID=m&parentMeetingID=p").is_none());
        assert!(kept("meetingID=m&isBreakout=false&parentMeetingID=").is_some());
        assert!(kept(&format!("meetingID=m&welcome={}", "x".repeat(MAX_KEPT_BYTES))).is_none());
        let body = Some(("text/xml".to_owned(), Bytes::from(vec![b'x'; MAX_KEPT_BYTES])));
        assert!(CreateParameters::of_create(Query::parse("m=1"), body, &reply(), &[]).is_none());
    }

    #[test]
    fn creation_times_are_limited() {
        let times: Vec<i64> = (1..=20).collect();
        let kept =
            CreateParameters::of_create(Query::parse("m=1"), None, &reply(), &times).unwrap();
        assert_eq!(kept.former_create_times, (13..=20).collect::<Vec<i64>>());
        assert!(kept.had_create_time(" 20") && !kept.had_create_time("12"));
        assert_eq!(kept.create_times_with(Timestamp(21)).last(), Some(&21));
    }

    #[test]
    fn contexts_are_unambiguous() {
        let key = |tenant: Option<&str>, id: &str| MeetingKey {
            tenant: tenant.map(str::to_owned),
            id: id.to_owned(),
        };
        assert_ne!(context(&key(Some("a"), "b")), context(&key(None, "ab")));
        assert_ne!(context(&key(Some("1"), "0:")), context(&key(None, "1:10:")));
    }
}
