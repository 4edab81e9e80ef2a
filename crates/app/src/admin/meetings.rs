//! Meetings, for administrators: list, look into, end.

use bytes::Bytes;
use domain::{Meeting, MeetingKey};

use crate::api::{ApiError, Trail, get_meeting_info};
use crate::backend::{end_query, meeting_query};
use crate::context::App;
use crate::ports::{Located, StoreError};

/// Some meetings by their ids, or all.
///
/// # Errors
/// When the store fails.
pub async fn list(app: &App, ids: &[String]) -> Result<Vec<Meeting>, StoreError> {
    let all = app.cluster.meetings(None).await?;
    Ok(all.into_iter().filter(|one| ids.is_empty() || ids.contains(&one.key.id)).collect())
}

/// A meeting and its server.
///
/// # Errors
/// When the store fails.
pub async fn find(app: &App, id: &str) -> Result<Option<Located>, StoreError> {
    app.cluster.meeting(&MeetingKey { tenant: None, id: id.to_owned() }).await
}

/// What the meeting's server says about it.
///
/// # Errors
/// As [`get_meeting_info`].
pub async fn info(app: &App, id: &str) -> Result<Bytes, ApiError> {
    get_meeting_info(app, &meeting_query(id), &mut Trail::default()).await
}

/// Ends a meeting with the password that was remembered for it, and forgets it even if its server
/// refuses: this is the administrator's word.
///
/// # Errors
/// When the server cannot be asked (the meeting is forgotten all the same) or the store fails.
pub async fn end(app: &App, meeting: &Meeting) -> Result<(), ApiError> {
    let result = crate::api::end(app, &end_query(meeting), &mut Trail::default()).await;
    app.cluster.forget(&meeting.key, &meeting.server).await?;
    match result {
        Ok(_) | Err(ApiError::NotFound | ApiError::Backend(..)) => Ok(()),
        Err(error) => Err(error),
    }
}
