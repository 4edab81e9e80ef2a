//! What is kept of the create of a meeting that was made, so that the meeting can be made anew if its server dies.

use domain::MeetingOrigin;

use crate::backend::BbbReply;
use crate::kept_create::{CreateParameters, MAX_KEPT_BYTES};
use crate::ports::KeptCreate;

use super::request::CreateRequest;

/// Returns the create, sealed, to be kept with the meeting; `None` if the meeting will not be made anew.
pub(super) fn seal_create(
    request: &CreateRequest<'_>,
    origin: &MeetingOrigin,
    reply: &BbbReply,
) -> Option<KeptCreate> {
    let app = request.app;
    let identity = origin.identity.as_ref().filter(|_| origin.is_proven)?;
    if app.policy.revival_window_ms <= 0 {
        return None;
    }
    let body = match &request.body {
        None => None,
        Some(body) => Some(body.read_whole(MAX_KEPT_BYTES)?),
    };
    let former = request.revived.as_ref().map_or(&[][..], |revived| &revived.former_create_times);
    let query = request.query.clone();
    let parameters = CreateParameters::of_create(query, body, &reply.response, former)?;
    parameters.seal(app, &request.key, &identity.internal_id)
}
