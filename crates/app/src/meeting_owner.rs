//! Finds out whose meeting a server has under an id. BBB servers know no tenants, so the metadata that creates carry must tell.

use bbb::response::parse_text_elements;

use crate::backend::{BackendError, meeting_query};
use crate::context::App;
use crate::ports::MeetingOnServer;

/// Whose a meeting is that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeetingOwner {
    /// The tenant's.
    Tenant,
    /// Another tenant's, or it names none.
    Another,
    /// The server has none.
    Nobody,
}

/// Asks a server whose the meeting is that it has under the id of a tenant's meeting.
///
/// # Errors
/// When the server does not say.
pub(crate) async fn find_owner(
    app: &App,
    target: &MeetingOnServer,
) -> Result<MeetingOwner, BackendError> {
    let MeetingOnServer { meeting, server } = target;
    let query = meeting_query(&meeting.key.id);
    let info = app.call_server_briefly(server, "getMeetingInfo", &query).await?;
    if !info.response.success {
        return Ok(MeetingOwner::Nobody);
    }
    let elements = parse_text_elements(&info.body);
    let owner = elements.iter().find(|(path, _)| path == "response/metadata/tenant-id");
    let owner = owner.map(|(_, tenant)| tenant);
    let is_tenants = owner.is_some() && owner == meeting.key.tenant.as_ref();
    Ok(if is_tenants { MeetingOwner::Tenant } else { MeetingOwner::Another })
}
