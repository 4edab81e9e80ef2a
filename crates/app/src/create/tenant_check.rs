//! Checks whose meeting a server has already. BBB servers know no tenants: one that is asked to create a meeting whose id
//! another tenant uses says that the meeting is there.

use bbb::response::parse_text_elements;
use tokio::time::timeout_at;

use crate::backend::{BackendError, meeting_query};
use crate::ports::MeetingOnServer;

use super::request::CreateRequest;
use super::send::{ALREADY_EXISTS, CreateReply};

/// Returns the reply to a create, or [`BackendError::Occupied`] if it is about another tenant's meeting, or may be. Only
/// replies that say that the meeting was there before are looked into, by a getMeetingInfo.
pub(super) async fn check_tenant(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    reply: CreateReply,
) -> CreateReply {
    let reply = reply?;
    let key = reply.response.message_key.as_str();
    let Some(tenant) =
        request.caller.tenant().filter(|_| key == ALREADY_EXISTS || key == "idNotUnique")
    else {
        return Ok(reply);
    };
    let query = meeting_query(&target.meeting.key.id);
    let info = request.app.call_server_briefly(&target.server, "getMeetingInfo", &query);
    // Not longer than the create's time, which its claim does not outlast by much.
    let Ok(Ok(info)) = timeout_at(request.deadline, info).await else {
        return Err(BackendError::Occupied);
    };
    let elements = parse_text_elements(&info.body);
    let owner = elements.iter().find(|(path, _)| path == "response/metadata/tenant-id");
    let is_other_tenants = owner.is_none_or(|(_, owner)| *owner != tenant.id);
    if info.response.success && is_other_tenants { Err(BackendError::Occupied) } else { Ok(reply) }
}
