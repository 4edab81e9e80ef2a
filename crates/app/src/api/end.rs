//! `end`: the server ends the meeting, then the balancer forgets it. A server that cannot be
//! reached or refuses keeps it, so that a retry can succeed.

use bbb::Query;
use bytes::Bytes;

use crate::backend::meeting_query;
use crate::context::App;
use crate::ports::Located;
use crate::tenancy::Caller;

use super::errors::ApiError;
use super::request::{Trail, locate, pass_on};

/// Ends a meeting.
///
/// # Errors
/// When the meeting is unknown, or its server refuses or cannot be asked.
pub async fn end(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut Trail,
) -> Result<Bytes, ApiError> {
    let located = locate(app, caller, query, trail).await?.ok_or(ApiError::NotFound)?;
    end_at(app, &located, &query.get("password").unwrap_or_default()).await
}

/// The same, once it is found.
pub(crate) async fn end_at(
    app: &App,
    located: &Located,
    password: &str,
) -> Result<Bytes, ApiError> {
    let mut call = meeting_query(&located.meeting.key.id);
    // Always sent, as the original does: old servers refuse a call without it.
    call.set("password", password);
    let reply = app.ask(&located.server, "end", &call, None).await;
    let result = pass_on(reply, "Unable to access meeting on server.");
    let gone = match &result {
        Ok(_) => true,
        Err(error) => matches!(error, ApiError::Backend(key, _) if key == "notFound"),
    };
    if gone {
        app.cluster.forget(&located.meeting.key, &located.server.id).await?;
    }
    result
}
