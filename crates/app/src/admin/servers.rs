//! Servers of the pool: add, change, remove, enable, panic.

use domain::{AdminState, Meeting, Server, ServerId};

use crate::context::App;
use crate::poll;
use crate::ports::{ServerChange, StoreError};

/// Why an administrator's wish was not fulfilled. Unless the store failed in the middle, nothing was
/// changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// Something needed was not given.
    #[error("Server needs a URL and a secret")]
    Incomplete,
    /// The URL is none of HTTP.
    #[error("Server URL must start with http:// or https://")]
    BadUrl,
    /// The multiplier is no number above 0.
    #[error("Load multiplier must be a number greater than 0 and at most 1000000")]
    BadMultiplier,
    /// There is a server of that id.
    #[error("A server with id={0} exists already")]
    Exists(ServerId),
    /// There is no server of that id.
    #[error("Couldn't find server with id={0}")]
    Unknown(ServerId),
    /// Our store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A server to add.
#[derive(Clone, Default, PartialEq)]
pub struct NewServer {
    /// Its identity; `None`: made by us.
    pub id: Option<String>,
    /// API endpoint.
    pub url: String,
    /// Shared secret.
    pub secret: String,
    /// Tag; blank counts as none.
    pub tag: Option<String>,
    /// Multiplier; `None` is 1.
    pub load_multiplier: Option<f64>,
}

/// Whether an address can be that of a server.
///
/// # Errors
/// [`AdminError::BadUrl`].
pub fn check_url(url: &str) -> Result<(), AdminError> {
    if domain::server::is_endpoint(url) { Ok(()) } else { Err(AdminError::BadUrl) }
}

/// Above this a sum of loads could not be told from infinity.
const MAX_LOAD_MULTIPLIER: f64 = 1e6;

/// A load multiplier, if it is one.
///
/// # Errors
/// When it is no number above zero, or so large that loads could no longer be told apart.
pub fn check_multiplier(multiplier: f64) -> Result<f64, AdminError> {
    let usable = multiplier > 0.0 && multiplier <= MAX_LOAD_MULTIPLIER;
    usable.then_some(multiplier).ok_or(AdminError::BadMultiplier)
}

/// Adds a server: disabled and offline.
///
/// # Errors
/// When something is missing or wrong, or the id exists already.
pub async fn add(app: &App, new: NewServer) -> Result<Server, AdminError> {
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
    if !app.pool.add_server(server.clone()).await? {
        return Err(AdminError::Exists(server.id));
    }
    tracing::info!(server = %server.id, "server added");
    Ok(server)
}

/// One server.
///
/// # Errors
/// When there is none of that id.
pub async fn find(app: &App, id: &str) -> Result<Server, AdminError> {
    let id = ServerId(id.to_owned());
    app.pool.find_server(&id).await?.ok_or(AdminError::Unknown(id))
}

/// Changes a server. One that is enabled and cannot take meetings yet is polled before this
/// returns, so that it is usable at once.
///
/// # Errors
/// When there is none of that id, or a value is wrong.
pub async fn update(app: &App, id: &str, change: ServerChange) -> Result<Server, AdminError> {
    let id = ServerId(id.to_owned());
    if let Some(url) = &change.url {
        check_url(url)?;
    }
    if let Some(multiplier) = change.load_multiplier {
        check_multiplier(multiplier)?;
    }
    let state = change.state;
    let changed = app.pool.update_server(&id, change).await?;
    let server = changed.ok_or_else(|| AdminError::Unknown(id.clone()))?;
    tracing::info!(server = %server.id, state = server.state.name(), "server changed");
    if state != Some(AdminState::Enabled) || server.accepts_meetings() {
        return Ok(server);
    }
    let polled = poll::poll_server(app, server, false, None).await?;
    Ok(polled.ok_or(AdminError::Unknown(id))?.server)
}

/// Removes a server; its meetings are forgotten with it.
///
/// # Errors
/// When there is none of that id.
pub async fn remove(app: &App, id: &str) -> Result<Vec<Meeting>, AdminError> {
    let id = ServerId(id.to_owned());
    let meetings = app.pool.remove_server(&id).await?;
    let meetings = meetings.ok_or_else(|| AdminError::Unknown(id.clone()))?;
    tracing::info!(server = %id, meetings = meetings.len(), "server removed");
    Ok(meetings)
}

/// How a panic is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PanicOptions {
    /// The server keeps its state instead of being disabled.
    pub keep_state: bool,
    /// The server is not asked to end the meetings.
    pub skip_end_calls: bool,
}

/// Disables a server, forgets all its meetings and tries to end them. A meeting that cannot be ended
/// stops nothing. Disabled first, or creates that come meanwhile would be placed on it.
///
/// # Errors
/// When there is none of that id.
pub async fn panic(app: &App, id: &str, how: PanicOptions) -> Result<Vec<Meeting>, AdminError> {
    let mut server = find(app, id).await?;
    if !how.keep_state {
        server = update(app, id, ServerChange::with_state(AdminState::Disabled)).await?;
    }
    let meetings = clear_meetings(app, &server, how.skip_end_calls).await?;
    tracing::warn!(server = id, meetings = meetings.len(), keep_state = how.keep_state, "panic");
    Ok(meetings)
}

/// Forgets all meetings of a server and tries to end them there.
///
/// # Errors
/// When the store fails.
pub async fn clear_meetings(
    app: &App,
    server: &Server,
    skip_end_calls: bool,
) -> Result<Vec<Meeting>, AdminError> {
    let meetings = app.pool.forget_server_meetings(&server.id).await?;
    if !skip_end_calls {
        poll::end_meetings(app, server, &meetings).await;
    }
    Ok(meetings)
}
