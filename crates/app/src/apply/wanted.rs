//! What a file wants. A field that is `None` stays as it is; `Some(None)` removes it.

use std::fmt;

use domain::tenant::Lrs;
use domain::{AdminState, Server, ServerId};

use crate::ports::ServerChange;

/// Everything that is wanted. A list that is `None` is not spoken of: nothing of it is changed or removed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WantedState {
    /// The servers of the pool.
    pub servers: Option<Vec<WantedServer>>,
    /// The tenants.
    pub tenants: Option<Vec<WantedTenant>>,
}

/// A wanted server, known by its URL in any spelling.
#[derive(Clone, Default, PartialEq)]
pub struct WantedServer {
    /// The URL of its API.
    pub url: String,
    /// The shared secret.
    pub secret: Option<String>,
    /// The URL of its API for joins.
    pub join_url: Option<Option<String>>,
    /// The load multiplier.
    pub load_multiplier: Option<f64>,
    /// The tag.
    pub tag: Option<Option<String>>,
    /// The administrative state. A new server is enabled unless this says otherwise.
    pub state: Option<AdminState>,
    /// Maximum number of meetings.
    pub max_meetings: Option<Option<u32>>,
    /// Maximum number of users.
    pub max_users: Option<Option<u32>>,
    /// The tier.
    pub tier: Option<u32>,
}

impl WantedServer {
    /// Returns all that is wanted, as a change of a server.
    pub(super) fn as_change(&self) -> ServerChange {
        ServerChange {
            url: None,
            join_url: self.join_url.clone(),
            secret: self.secret.clone(),
            tag: self.tag.clone(),
            state: self.state,
            load_multiplier: self.load_multiplier,
            max_meetings: self.max_meetings,
            max_users: self.max_users,
            tier: self.tier,
        }
    }
}

impl From<&Server> for WantedServer {
    /// Converts a server to what describes it completely.
    fn from(server: &Server) -> Self {
        Self {
            url: server.url.clone(),
            secret: Some(server.secret.clone()),
            join_url: Some(server.join_url.clone()),
            load_multiplier: Some(server.load_multiplier),
            tag: Some(server.tag.clone()),
            state: Some(server.state),
            max_meetings: Some(server.limits.max_meetings),
            max_users: Some(server.limits.max_users),
            tier: Some(server.limits.tier),
        }
    }
}

impl fmt::Debug for WantedServer {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WantedServer").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A wanted tenant, known by its name without regard to case.
#[derive(Clone, Default, PartialEq)]
pub struct WantedTenant {
    /// The name.
    pub name: String,
    /// The secrets, separated by colons.
    pub secrets: Option<String>,
    /// Fields of its learning record store.
    pub lrs: Lrs,
    /// Its settings; `None` if they are not spoken of.
    pub settings: Option<Vec<WantedSetting>>,
}

impl fmt::Debug for WantedTenant {
    /// Leaves out secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WantedTenant").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A wanted setting of a tenant, known by its parameter and by whether it overrides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedSetting {
    /// The parameter of create or join.
    pub param: String,
    /// Its value.
    pub value: String,
    /// Whether it replaces the parameter of a request.
    pub is_override: bool,
}

/// Returns a server as it would be after it was changed.
pub(super) fn changed(server: &Server, change: &ServerChange) -> Server {
    let mut after = server.clone();
    change.clone().apply(&mut after);
    after
}

/// Returns the new server that is wanted.
pub(super) fn new_server(wanted: &WantedServer) -> Server {
    let secret = wanted.secret.clone().unwrap_or_default();
    let server = Server::new(ServerId::default(), wanted.url.clone(), secret);
    let change = ServerChange {
        state: Some(wanted.state.unwrap_or(AdminState::Enabled)),
        ..wanted.as_change()
    };
    changed(&server, &change)
}
