//! What a server's reply to a create says about where the meeting comes from.

use domain::{CreateWindow, MeetingOrigin, Timestamp};

use crate::backend::BbbReply;
use crate::context::App;

use super::send::ALREADY_EXISTS;

/// Returns the origin of the meeting that a reply tells of; `asked_before` is when its server was
/// first asked, if earlier creates of it got no answer. Unknown if the reply does not identify the
/// meeting.
pub(super) fn origin_of_reply(
    app: &App,
    reply: &BbbReply,
    asked_before: Option<Timestamp>,
) -> MeetingOrigin {
    let Some(identity) = reply.identity() else {
        return MeetingOrigin::default();
    };
    let is_new = reply.response.message_key != ALREADY_EXISTS;
    let window = asked_before.map(|sent_at| CreateWindow { sent_at, until: app.clock.now() });
    MeetingOrigin::of_reply(identity, is_new, window)
}
