//! What every call has in common: its checksum, its parameters, its meeting, and what the log
//! shall say about it.

use std::collections::HashSet;

use bbb::{Query, checksum};
use bytes::Bytes;
use domain::parameters::{QueryEdit, is_repeatable, removal_matches};
use domain::{Meeting, MeetingKey, ServerId};

use crate::backend::{BackendError, BbbReply};
use crate::context::App;
use crate::ports::{CallError, MeetingOnServer};
use crate::tenancy::Caller;

use super::errors::ApiError;

/// What the log says about a call once it is answered.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    /// The name of the tenant whose call it was.
    pub tenant: Option<String>,
    /// The meeting it was about.
    pub meeting: Option<String>,
    /// The server that it went to.
    pub server: Option<ServerId>,
}

impl RequestLog {
    /// Of a call that begins.
    #[must_use]
    pub fn for_caller(caller: &Caller) -> Self {
        let tenant = caller.tenant().map(|tenant| tenant.name.clone());
        Self { tenant, ..Self::default() }
    }
}

/// Whose call it is that came under this label of a host name. With multitenancy every call is a
/// tenant's.
///
/// # Errors
/// [`ApiError::Checksum`] if there is no such tenant; when the store fails.
pub async fn identify_caller(app: &App, label: Option<&str>) -> Result<Caller, ApiError> {
    if !app.policy.multitenancy {
        return Ok(Caller::default());
    }
    let label = label.ok_or(ApiError::Checksum)?;
    app.tenant_cache.find_caller(label).await?.ok_or(ApiError::Checksum)
}

/// Verifies the checksum of a call, which may stand in the query or in a form body; what is signed
/// is the query. [`Caller::default`] signs with the balancer's own secrets. Returns the secret that
/// signed it.
///
/// # Errors
/// [`ApiError::Checksum`], whatever is wrong.
pub fn authenticate<'a>(
    app: &'a App,
    caller: &'a Caller,
    call: &str,
    raw_query: &str,
    form: Option<&Query>,
) -> Result<&'a str, ApiError> {
    let in_form = form.and_then(|form| form.get("checksum"));
    let (signed, given) = match (checksum::split_checksum(raw_query), in_form) {
        (Ok(cut), None) => (cut.signed_text, cut.checksum),
        (Err(checksum::ChecksumError::Missing), Some(given)) => {
            (raw_query.to_owned(), given.into_owned())
        }
        _ => return Err(ApiError::Checksum),
    };
    let secrets = caller.secrets(&app.policy);
    let signer =
        checksum::find_signing_secret(call, &signed, &given, secrets, app.policy.algorithms);
    signer.ok_or(ApiError::Checksum)
}

/// Adds the parameters of a form body that the query does not name: a body is not signed.
pub fn merge_form(query: &mut Query, mut form: Query) {
    let named: HashSet<String> = query.iter().map(|(name, _)| name.into_owned()).collect();
    form.retain(|name| !named.contains(name));
    query.append(&form);
}

/// The meeting that a call is about.
pub(crate) fn meeting_key(
    caller: &Caller,
    query: &Query,
    trail: &mut RequestLog,
) -> Result<MeetingKey, ApiError> {
    if !query.is_utf8("meetingID") {
        return Err(ApiError::InvalidMeetingId);
    }
    let id = query.get("meetingID").filter(|id| !id.trim().is_empty());
    let id = id.ok_or(ApiError::MissingMeetingId)?.into_owned();
    trail.meeting = Some(id.clone());
    Ok(caller.meeting_key(id))
}

/// The meeting and its server, if the balancer knows it and its server is there: what was on a server
/// that is offline is no meeting until it comes back.
pub(super) async fn locate_meeting(
    app: &App,
    caller: &Caller,
    query: &Query,
    trail: &mut RequestLog,
) -> Result<Option<MeetingOnServer>, ApiError> {
    let key = meeting_key(caller, query, trail)?;
    let located = app.pool.find_meeting(&key).await?;
    trail.server = located.as_ref().map(|located| located.server.id.clone());
    Ok(located
        .filter(|located| !located.is_detached_or_offline() && is_own_meeting(&located.meeting)))
}

/// Whether what its server has under its id is surely this tenant's: while its first create is under
/// way, it may be another tenant's, since servers know no tenants.
pub(super) fn is_own_meeting(meeting: &Meeting) -> bool {
    meeting.key.tenant.is_none() || meeting.claim.is_none()
}

/// A server's reply as the client gets it: success byte for byte, a refusal in the one shape that
/// all clients understand.
pub(crate) fn forward_reply(
    reply: Result<BbbReply, BackendError>,
    unanswered: &'static str,
) -> Result<Bytes, ApiError> {
    let reply = reply.map_err(|error| match error {
        BackendError::Call(CallError::UploadTooLarge) => ApiError::TooLarge,
        error => ApiError::Unanswered(unanswered, error),
    })?;
    if reply.response.success {
        return Ok(reply.body);
    }
    Err(ApiError::Backend(reply.response.message_key, reply.response.message))
}

/// Applies edits; of repeated names only the last value stays.
pub(crate) fn apply_edits(query: &mut Query, edits: Vec<QueryEdit>) {
    query.keep_last(is_repeatable);
    let mut edits = edits.into_iter().peekable();
    while let Some(edit) = edits.next() {
        match edit {
            QueryEdit::Set(name, value) => query.set(&name, &value),
            QueryEdit::SetIfAbsent(name, value) if !query.contains(&name) => {
                query.set(&name, &value)
            }
            QueryEdit::SetIfAbsent(..) => {}
            QueryEdit::Remove(name) => {
                // Removals come in runs, and one look at the query does for all of them.
                let mut names = vec![name];
                while let Some(QueryEdit::Remove(next)) =
                    edits.next_if(|edit| matches!(edit, QueryEdit::Remove(_)))
                {
                    names.push(next);
                }
                query.retain(|name| !names.iter().any(|removed| removal_matches(removed, name)));
            }
        }
    }
}
