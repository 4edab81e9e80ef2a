//! Keeps the create of a meeting that was made, so that the meeting can be made anew if its server dies.

use domain::MeetingOrigin;

use crate::backend::BbbReply;
use crate::kept_create::{CreateParameters, MAX_KEPT_BYTES};

use super::request::CreateRequest;

/// Keeps the create in the background: nobody waits for it, and without it everything is as if there
/// were no revivals. Joins that wait for a revival need what is kept, so a revival waits for it.
pub(super) async fn keep_create(
    request: &CreateRequest<'_>,
    origin: &MeetingOrigin,
    reply: &BbbReply,
) {
    let app = request.app;
    let identity = origin.identity.as_ref().filter(|_| origin.is_proven);
    let (Some(identity), true) = (identity, app.policy.revival_window_ms > 0) else {
        return;
    };
    let body = match &request.body {
        None => None,
        Some(body) => match body.read_whole(MAX_KEPT_BYTES) {
            Some(body) => Some(body),
            None => return,
        },
    };
    let former = request.revived.as_ref().map(|revived| revived.former_create_times.clone());
    let (app, key, internal_id) = (app.clone(), request.key.clone(), identity.internal_id.clone());
    let (query, reply) = (request.query.clone(), reply.body.clone());
    // Reading the reply and sealing are left to the background as well.
    let keep = async move {
        let former = former.unwrap_or_default();
        let parameters = CreateParameters::of_create(query, body, &reply, &former);
        let kept = parameters.and_then(|parameters| parameters.seal(&app, &key, &internal_id));
        let Some(kept) = kept else { return };
        match app.kept_creates.keep_create(&key, &kept).await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(meeting = key.id, "create not kept"),
            Err(error) => tracing::warn!(meeting = key.id, %error, "create not kept"),
        }
    };
    if request.revived.is_some() {
        keep.await;
    } else {
        tokio::spawn(keep);
    }
}
