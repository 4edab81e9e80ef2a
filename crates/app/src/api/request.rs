//! What all calls share: the caller, the checksum, the parameters, the meeting, the log line, and
//! the server's reply.

use std::collections::HashSet;
use std::sync::Arc;

use bbb::Query;
use bbb::checksum::{ChecksumError, find_signing_secret, sorted_form_text, split_checksum};
use bytes::Bytes;
use domain::parameters::{QueryEdit, is_repeatable, removal_matches};
use domain::{Meeting, MeetingKey, Server, ServerId};

use crate::backend::{BackendError, BbbReply};
use crate::context::App;
use crate::ports::{CallError, MeetingOnServer};
use crate::store_recovery;
use crate::tenancy::Caller;

use super::errors::ApiError;

/// The message for a client if the server of a meeting does not respond.
pub(crate) const MEETING_UNREACHABLE: &str = "Unable to access meeting on server.";

/// What the log line of a call says besides its result.
#[derive(Clone, Debug, Default)]
pub struct RequestLog {
    /// The name of the tenant that made the call.
    pub tenant: Option<String>,
    /// The meeting that the call is about.
    pub meeting: Option<String>,
    /// The server that the call was forwarded to.
    pub server: Option<ServerId>,
    /// Its host name.
    pub host: Option<Arc<str>>,
}

impl RequestLog {
    /// Creates the log of a call that begins.
    #[must_use]
    pub fn for_caller(caller: &Caller) -> Self {
        let tenant = caller.tenant().map(|tenant| tenant.name.clone());
        Self { tenant, ..Self::default() }
    }

    /// Notes the server that the call was forwarded to.
    pub(crate) fn name_server(&mut self, app: &App, server: &Server) {
        app.known_hosts.note(server);
        self.server = Some(server.id.clone());
        self.host = app.known_hosts.find(&server.id);
    }
}

/// Returns the caller of a request by the first label of its host name. With multitenancy, every
/// call is that of a tenant.
///
/// # Errors
/// [`ApiError::Checksum`] if there is no such tenant; [`ApiError::Store`] if the store fails.
pub async fn identify_caller(app: &App, label: Option<&str>) -> Result<Caller, ApiError> {
    if !app.policy.multitenancy {
        return Ok(Caller::default());
    }
    let label = label.ok_or(ApiError::Checksum)?;
    let mut caller = app.tenant_cache.find_caller(label).await?;
    if caller.is_none() && app.server_backup.has_tenant(label) {
        // It was removed, or lost with everything else.
        store_recovery::recover_if_lost(app).await;
        app.tenant_cache.invalidate();
        caller = app.tenant_cache.find_caller(label).await?;
    }
    caller.ok_or(ApiError::Checksum)
}

/// Verifies the checksum of a call, and returns the secret that signed it. The checksum may be in
/// the query or in a form body; in both cases it signs the query. Without multitenancy the secrets
/// are those of the balancer.
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
    authenticate_with(caller.secrets(&app.policy), app, call, raw_query, form)
}

/// Verifies the checksum of a call like [`authenticate`], with these secrets.
///
/// # Errors
/// [`ApiError::Checksum`], whatever is wrong.
pub fn authenticate_with<'a>(
    secrets: &'a [String],
    app: &App,
    call: &str,
    raw_query: &str,
    form: Option<&Query>,
) -> Result<&'a str, ApiError> {
    let form_checksum = form.and_then(|form| form.get("checksum"));
    let (signed_text, checksum) = match (split_checksum(raw_query), form_checksum) {
        (Ok(split), None) => (split.signed_text, split.checksum),
        (Err(ChecksumError::Missing), Some(form_checksum)) => {
            (raw_query.to_owned(), form_checksum.into_owned())
        }
        _ => return Err(ApiError::Checksum),
    };
    let secret = find_signing_secret(call, &signed_text, &checksum, secrets, app.policy.algorithms);
    secret.ok_or(ApiError::Checksum)
}

/// Verifies a checksum over all parameters of query and form, sorted by name, as BBB up to 2.7.7 does for forms. Only if the administrator
/// allows it.
///
/// # Errors
/// [`ApiError::Checksum`], whatever is wrong.
pub fn authenticate_form<'a>(
    app: &'a App,
    caller: &'a Caller,
    call: &str,
    query: &Query,
    form: &Query,
) -> Result<&'a str, ApiError> {
    if !app.policy.accepts_form_checksums {
        return Err(ApiError::Checksum);
    }
    let mut parameters = query.clone();
    parameters.append(form);
    let mut checksums = parameters.iter().filter(|(name, _)| name == "checksum");
    let (Some((_, checksum)), None) = (checksums.next(), checksums.next()) else {
        return Err(ApiError::Checksum);
    };
    let signed_text = sorted_form_text(&parameters);
    let (secrets, algorithms) = (caller.secrets(&app.policy), app.policy.algorithms);
    let secret = find_signing_secret(call, &signed_text, &checksum, secrets, algorithms);
    secret.ok_or(ApiError::Checksum)
}

/// Adds those parameters of a form body that the query does not have. Parameters of the query win,
/// because a body is not signed.
pub fn merge_form(query: &mut Query, mut form: Query) {
    let query_names: HashSet<String> = query.iter().map(|(name, _)| name.into_owned()).collect();
    form.retain(|name| !query_names.contains(name));
    query.append(&form);
}

/// Returns the key of the meeting that a call is about, and logs its id.
///
/// # Errors
/// [`ApiError::MissingMeetingId`] or [`ApiError::InvalidMeetingId`].
pub(crate) fn meeting_key(
    caller: &Caller,
    query: &Query,
    log: &mut RequestLog,
) -> Result<MeetingKey, ApiError> {
    if !query.is_utf8("meetingID") {
        return Err(ApiError::InvalidMeetingId);
    }
    let id = query.get("meetingID").filter(|id| !id.trim().is_empty());
    let id = id.ok_or(ApiError::MissingMeetingId)?.into_owned();
    // PostgreSQL stores no NUL, and no response in XML can show it.
    if id.contains('\0') {
        return Err(ApiError::InvalidMeetingId);
    }
    log.meeting = Some(id.clone());
    Ok(caller.meeting_key(id))
}

/// Returns the meeting that a call is about, and its server, which is logged. `None` if the meeting
/// is unknown, or if its server is offline: then the meeting does not exist for clients until the
/// server comes back.
pub(super) async fn locate_meeting(
    app: &App,
    caller: &Caller,
    query: &Query,
    log: &mut RequestLog,
) -> Result<Option<MeetingOnServer>, ApiError> {
    let key = meeting_key(caller, query, log)?;
    let recorded = app.pool.find_meeting(&key).await?;
    if let Some(recorded) = &recorded {
        log.name_server(app, &recorded.server);
    }
    let is_available = |recorded: &MeetingOnServer| {
        !recorded.is_detached_or_offline() && is_own_meeting(&recorded.meeting)
    };
    Ok(recorded.filter(is_available))
}

/// Whether the meeting with this id on the server is certainly that of the tenant. While the first
/// create is under way, it may be another tenant's, since BBB servers do not know tenants.
pub(crate) fn is_own_meeting(meeting: &Meeting) -> bool {
    meeting.key.tenant.is_none() || meeting.claim.is_none()
}

/// Converts the reply of a server to the response for the client. A successful reply is forwarded
/// byte for byte, except for broken elements; a refusal is rendered by the balancer, in the form that all clients understand.
/// `unanswered` is the message if the server gave no valid response.
pub(crate) fn forward_reply(
    reply: Result<BbbReply, BackendError>,
    unanswered: &'static str,
) -> Result<Bytes, ApiError> {
    let reply = reply.map_err(|error| match error {
        BackendError::Call(CallError::UploadTooLarge) => ApiError::TooLarge,
        BackendError::Refused(status) => ApiError::Refused(status),
        error => ApiError::Unanswered(unanswered, error),
    })?;
    if reply.response.success {
        return Ok(reply.body);
    }
    Err(ApiError::Backend(reply.response.message_key, reply.response.message))
}

/// Applies edits to a query. Of parameters that occur several times only the last value stays.
pub(crate) fn apply_edits(query: &mut Query, edits: Vec<QueryEdit>) {
    query.keep_last(is_repeatable);
    let mut edits = edits.into_iter().peekable();
    while let Some(edit) = edits.next() {
        match edit {
            QueryEdit::Set(name, value) => query.set(&name, &value),
            QueryEdit::SetIfAbsent(name, value) if !query.contains(&name) => {
                query.set(&name, &value);
            }
            QueryEdit::SetIfAbsent(..) => {}
            QueryEdit::Remove(name) => {
                // Consecutive removals are applied in one pass over the query.
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
