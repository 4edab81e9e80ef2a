//! Checks whose meeting a server has already. BBB servers know no tenants: one that is asked to create a meeting whose id
//! another tenant uses says that the meeting is there.

use bbb::response::parse_text_elements;
use tokio::time::timeout_at;

use crate::backend::{BackendError, BbbReply, meeting_query};
use crate::ports::MeetingOnServer;

use super::request::CreateRequest;
use super::send::{ALREADY_EXISTS, CreateReply};

/// Whose a meeting is that a server has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MeetingOwner {
    /// The caller's, or nobody's by now.
    Caller,
    /// Another tenant's, or it names none.
    Another,
    /// The server does not say.
    Unknown,
}

/// Returns the reply to a create, or [`BackendError::Occupied`] if it is about another tenant's meeting, or may be. Only
/// replies that say that the meeting was there before are looked into, by a getMeetingInfo.
pub(super) async fn check_tenant(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
    reply: CreateReply,
) -> CreateReply {
    let reply = reply?;
    if !tells_of_earlier_meeting(&reply) {
        return Ok(reply);
    }
    match find_owner(request, target).await {
        MeetingOwner::Caller => Ok(reply),
        MeetingOwner::Another | MeetingOwner::Unknown => Err(BackendError::Occupied),
    }
}

/// Whether a reply to a create says that a meeting was there before.
pub(super) fn tells_of_earlier_meeting(reply: &BbbReply) -> bool {
    let key = reply.response.message_key.as_str();
    key == ALREADY_EXISTS || key == "idNotUnique"
}

/// Asks a server whose the meeting is that it has under the id of a create. Without tenants it is the caller's.
pub(super) async fn find_owner(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
) -> MeetingOwner {
    let Some(tenant) = request.caller.tenant() else { return MeetingOwner::Caller };
    let query = meeting_query(&target.meeting.key.id);
    let info = request.app.call_server_briefly(&target.server, "getMeetingInfo", &query);
    // Not longer than the create's time, which its claim does not outlast by much.
    let Ok(Ok(info)) = timeout_at(request.deadline, info).await else {
        return MeetingOwner::Unknown;
    };
    let elements = parse_text_elements(&info.body);
    let owner = elements.iter().find(|(path, _)| path == "response/metadata/tenant-id");
    let is_another = owner.is_none_or(|(_, owner)| *owner != tenant.id);
    if info.response.success && is_another { MeetingOwner::Another } else { MeetingOwner::Caller }
}
