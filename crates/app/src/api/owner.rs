//! Whose meeting it is that a server has already. BBB servers know no tenants: one that is asked to
//! create a meeting of an id that another tenant's has says that it is there.

use bbb::response::parse_text_elements;

use crate::backend::{BackendError, BbbReply, meeting_query};
use crate::ports::MeetingOnServer;

use super::asking::Call;
use super::repeat::EXISTS;

/// The answer to a create, unless it is about another tenant's meeting.
pub(super) async fn checked(
    call: &Call<'_>,
    located: &MeetingOnServer,
    reply: BbbReply,
) -> Result<BbbReply, BackendError> {
    let key = reply.response.message_key.as_str();
    let Some(tenant) = call.caller.tenant().filter(|_| key == EXISTS || key == "idNotUnique")
    else {
        return Ok(reply);
    };
    let query = meeting_query(&located.meeting.key.id);
    let asked = call.app.call_server_briefly(&located.server, "getMeetingInfo", &query).await;
    // What was there before, and cannot be told whose it is, is not given away.
    let Ok(shown) = asked else { return Err(BackendError::Occupied) };
    let elements = parse_text_elements(&shown.body);
    let owner = elements.iter().find(|(path, _)| path == "response/metadata/tenant-id");
    let is_theirs = owner.is_none_or(|(_, owner)| *owner != tenant.id);
    if shown.response.success && is_theirs { Err(BackendError::Occupied) } else { Ok(reply) }
}
