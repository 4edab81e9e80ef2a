//! Administrative actions on servers: add, change, remove, and panic.

use domain::{AdminState, Meeting, Server, ServerId, twins};
use serde_json::json;

use crate::audit::{self, AuditEvent, describe_server_change};
use crate::context::App;
use crate::drains;
use crate::origin;
use crate::poll;
use crate::ports::{ServerChange, StoreError};

/// Why an action on a server failed. Unless the store failed, nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The URL or the secret is missing.
    #[error("Server needs a URL and a secret")]
    Incomplete,
    /// The URL is not an HTTP URL.
    #[error("Server URL must start with http:// or https://")]
    BadUrl,
    /// The load multiplier is not a number above 0, or is too large.
    #[error("Load multiplier must be a number greater than 0 and at most 1000000")]
    BadMultiplier,
    /// A server of this id exists already.
    #[error("A server with id={0} exists already")]
    Exists(ServerId),
    /// Another server has this URL already, perhaps in another spelling.
    #[error("The server with id={0} has this URL already: {1}")]
    UrlTaken(ServerId, String),
    /// There is no server of this id.
    #[error("Couldn't find server with id={0}")]
    Unknown(ServerId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A server to add.
#[derive(Clone, Default, PartialEq)]
pub struct NewServer {
    /// The id; `None` if it is to be generated.
    pub id: Option<String>,
    /// The URL of the API.
    pub url: String,
    /// The shared secret.
    pub secret: String,
    /// The tag; an empty tag counts as none.
    pub tag: Option<String>,
    /// The load multiplier; `None` means 1.
    pub load_multiplier: Option<f64>,
}

/// Checks that a URL can be that of a server.
///
/// # Errors
/// [`AdminError::BadUrl`] if it cannot.
pub fn check_url(url: &str) -> Result<(), AdminError> {
    if domain::server::is_endpoint(url) { Ok(()) } else { Err(AdminError::BadUrl) }
}

/// Checks that no other server than the one of this id has a URL, in any spelling: the meetings of a
/// server that is listed twice are reported twice. A server may keep the URL that it has.
///
/// # Errors
/// [`AdminError::UrlTaken`] if one has.
pub fn check_url_is_free(
    servers: &[Server],
    url: &str,
    id: Option<&ServerId>,
) -> Result<(), AdminError> {
    let keeps_url = servers.iter().any(|server| Some(&server.id) == id && server.url == url);
    match twins::find_same_url(servers, url, id).filter(|_| !keeps_url) {
        Some(other) => Err(AdminError::UrlTaken(other.id.clone(), other.url.clone())),
        None => Ok(()),
    }
}

/// Maximum load multiplier: sums of larger loads could not be distinguished from infinity.
const MAX_LOAD_MULTIPLIER: f64 = 1e6;

/// Checks a load multiplier, and returns it.
///
/// # Errors
/// [`AdminError::BadMultiplier`] if it is not a number above 0, or larger than 1000000.
pub fn check_multiplier(multiplier: f64) -> Result<f64, AdminError> {
    let is_valid = multiplier > 0.0 && multiplier <= MAX_LOAD_MULTIPLIER;
    is_valid.then_some(multiplier).ok_or(AdminError::BadMultiplier)
}

/// Adds a server. It is disabled and offline.
///
/// # Errors
/// When a value is missing or invalid, the id exists already, or the store fails.
pub async fn add(app: &App, new: NewServer) -> Result<Server, AdminError> {
    let server = build(app, new)?;
    insert(app, server).await
}

/// Adds a server as it is after this change, in one step. If it is enabled, it is polled before this function returns.
///
/// # Errors
/// As [`add`].
pub async fn add_configured(
    app: &App,
    new: NewServer,
    change: ServerChange,
) -> Result<Server, AdminError> {
    check_change(&change)?;
    let mut server = build(app, new)?;
    change.apply(&mut server);
    let server = insert(app, server).await?;
    poll_if_enabled(app, server).await
}

/// Returns the new server.
fn build(app: &App, new: NewServer) -> Result<Server, AdminError> {
    if new.url.trim().is_empty() || new.secret.trim().is_empty() {
        return Err(AdminError::Incomplete);
    }
    check_url(&new.url)?;
    let id = match new.id {
        Some(id) => id,
        None if app.policy.server_id_is_hostname => {
            domain::server::hostname(&new.url).ok_or(AdminError::BadUrl)?.to_ascii_lowercase()
        }
        None => app.entropy.generate_uuid(),
    };
    let mut server = Server::new(ServerId(id), new.url, new.secret);
    server.tag = new.tag.filter(|tag| !tag.is_empty());
    if let Some(multiplier) = new.load_multiplier {
        server.load_multiplier = check_multiplier(multiplier)?;
    }
    Ok(server)
}

async fn insert(app: &App, server: Server) -> Result<Server, AdminError> {
    check_url_is_free(&app.pool.list_servers().await?, &server.url, Some(&server.id))?;
    if !app.pool.add_server(server.clone()).await? {
        return Err(AdminError::Exists(server.id));
    }
    app.server_backup.note_own_change(&server.id, Some(&server));
    tracing::info!(server = %server.id, host = server.hostname(), by = %origin::actor(), "server added");
    record_change(app, "server.add", None, Some(&server)).await;
    Ok(server)
}

/// Records what an administrator has changed of a server.
async fn record_change(
    app: &App,
    action: &'static str,
    before: Option<&Server>,
    after: Option<&Server>,
) {
    let Some(server) = after.or(before) else { return };
    let (was, is) = describe_server_change(before, after);
    if was.is_some() && was == is {
        return;
    }
    audit::record(app, AuditEvent::new(action).on_server(server).before(was).after(is)).await;
}

/// Returns a server.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn find(app: &App, id: &str) -> Result<Server, AdminError> {
    let id = ServerId(id.to_owned());
    app.pool.find_server(&id).await?.ok_or(AdminError::Unknown(id))
}

/// Changes a server. If it is enabled by the change and does not accept meetings yet, it is polled
/// before this function returns, so that it can be used at once.
///
/// # Errors
/// When there is no server of this id, a value is invalid, or the store fails.
pub async fn update(app: &App, id: &str, change: ServerChange) -> Result<Server, AdminError> {
    let id = ServerId(id.to_owned());
    check_change(&change)?;
    if let Some(url) = &change.url {
        check_url_is_free(&app.pool.list_servers().await?, url, Some(&id))?;
    }
    let state = change.state;
    let before = app.pool.find_server(&id).await.ok().flatten();
    let changed = app.pool.update_server(&id, change).await?;
    let server = changed.ok_or_else(|| AdminError::Unknown(id.clone()))?;
    let (host, state_name) = (server.hostname(), server.state.name());
    app.server_backup.note_own_change(&server.id, Some(&server));
    tracing::info!(server = %server.id, host, state = state_name, by = %origin::actor(), "server changed");
    record_change(app, "server.update", before.as_ref(), Some(&server)).await;
    if before.is_some_and(|before| before.state != server.state) {
        drains::note_state_change(app, &server).await;
    }
    match state {
        Some(AdminState::Enabled) => poll_if_enabled(app, server).await,
        _ => Ok(server),
    }
}

/// Checks the values of a change.
fn check_change(change: &ServerChange) -> Result<(), AdminError> {
    change.url.as_deref().map_or(Ok(()), check_url)?;
    change.join_url.iter().flatten().try_for_each(|url| check_url(url))?;
    change.load_multiplier.map_or(Ok(()), |multiplier| check_multiplier(multiplier).map(drop))
}

/// Polls a server that is enabled and does not accept meetings yet.
async fn poll_if_enabled(app: &App, server: Server) -> Result<Server, AdminError> {
    if server.state != AdminState::Enabled || server.accepts_meetings() {
        return Ok(server);
    }
    let id = server.id.clone();
    let polled = poll::poll_server(app, server, false, None).await?;
    Ok(polled.ok_or(AdminError::Unknown(id))?.server)
}

/// Removes a server and its meetings from the store; returns the meetings.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn remove(app: &App, id: &str) -> Result<Vec<Meeting>, AdminError> {
    let id = ServerId(id.to_owned());
    let server = app.pool.find_server(&id).await?;
    let meetings = app.pool.remove_server(&id).await?;
    let meetings = meetings.ok_or_else(|| AdminError::Unknown(id.clone()))?;
    app.server_backup.note_own_change(&id, None);
    let (host, by) = (server.as_ref().map(Server::hostname), origin::actor());
    tracing::info!(server = %id, host, meetings = meetings.len(), %by, "server removed");
    record_change(app, "server.remove", server.as_ref(), None).await;
    drains::note_removal(app, &id).await;
    Ok(meetings)
}

/// Options of [`panic()`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PanicOptions {
    /// The server keeps its administrative state instead of being disabled.
    pub keep_state: bool,
    /// No calls to end the meetings are sent to the server.
    pub skip_end_calls: bool,
}

/// Disables a server, forgets all its meetings and tries to end those that this deployment created;
/// returns these. A meeting that cannot be ended does not stop the others. The server is disabled
/// first, because otherwise meetings that are created meanwhile would be placed on it.
///
/// # Errors
/// When there is no server of this id, or the store fails.
pub async fn panic(app: &App, id: &str, options: PanicOptions) -> Result<Vec<Meeting>, AdminError> {
    let mut server = find(app, id).await?;
    if !options.keep_state {
        server = update(app, id, ServerChange::with_state(AdminState::Disabled)).await?;
    }
    let meetings = clear_meetings(app, &server, options.skip_end_calls).await?;
    let (host, count, keep_state) = (server.hostname(), meetings.len(), options.keep_state);
    let by = origin::actor();
    tracing::warn!(server = id, host, meetings = count, keep_state, %by, "server meetings cleared");
    Ok(meetings)
}

/// Forgets all meetings of a server and, unless `skip_end_calls` is set, tries to end those that this
/// deployment created; returns these.
///
/// # Errors
/// When the store fails.
pub async fn clear_meetings(
    app: &App,
    server: &Server,
    skip_end_calls: bool,
) -> Result<Vec<Meeting>, AdminError> {
    let mut meetings = app.pool.forget_server_meetings(&server.id).await?;
    let all = meetings.len();
    let after = json!({ "meetings": all, "ends": !skip_end_calls });
    audit::record(app, AuditEvent::new("server.clear").on_server(server).after(after)).await;
    meetings.retain(|meeting| !meeting.origin.is_adopted);
    if meetings.len() < all {
        let (host, count) = (server.hostname(), all - meetings.len());
        tracing::warn!(server = %server.id, host, meetings = count, "adopted meetings left running");
    }
    if !skip_end_calls {
        poll::end_meetings(app, server, &meetings).await;
    }
    Ok(meetings)
}
