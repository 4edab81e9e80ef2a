//! Checks whose meeting a server has already. BBB servers know no tenants: one that is asked to create a meeting whose id
//! another tenant uses says that the meeting is there.

use tokio::time::timeout_at;

use crate::backend::{BackendError, BbbReply};
use crate::meeting_owner::{self, MeetingOwner};
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
    if !tells_of_earlier_meeting(&reply) {
        return Ok(reply);
    }
    match find_owner(request, target).await {
        Some(MeetingOwner::Tenant) => Ok(reply),
        _ => Err(BackendError::Occupied),
    }
}

/// Whether a reply to a create says that a meeting was there before.
pub(super) fn tells_of_earlier_meeting(reply: &BbbReply) -> bool {
    let key = reply.response.message_key.as_str();
    key == ALREADY_EXISTS || key == "idNotUnique"
}

/// Asks a server whose the meeting is that it has under the id of a create; `None` if it does not say. Without tenants it is
/// the caller's.
pub(super) async fn find_owner(
    request: &CreateRequest<'_>,
    target: &MeetingOnServer,
) -> Option<MeetingOwner> {
    if request.caller.tenant().is_none() {
        return Some(MeetingOwner::Tenant);
    }
    // Not longer than the create's time, which its claim does not outlast by much.
    let owner = timeout_at(request.deadline, meeting_owner::find_owner(request.app, target)).await;
    owner.ok()?.ok()
}
