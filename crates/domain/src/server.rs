//! A BigBlueButton server of the pool: its configuration and what polls reported about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::health::Health;

/// Identifies a server: a UUID, or its host name under `SERVER_ID_IS_HOSTNAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub String);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of a server that the administrator has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// The server gets new meetings while it is online.
    Enabled,
    /// The server keeps its meetings and gets no new ones. It becomes disabled when it has no
    /// meetings left.
    Cordoned,
    /// The server is not used; joins are refused.
    #[default]
    Disabled,
}

impl AdminState {
    /// Returns `enabled`, `cordoned` or `disabled`, as in the output of the original Scalelite.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Cordoned => "cordoned",
            Self::Disabled => "disabled",
        }
    }

    /// Finds a state by its [`Self::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Cordoned, Self::Disabled]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// The numbers that the last successful poll of a server counted, over all of its meetings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStats {
    /// Number of meetings, including breakout rooms.
    pub meetings: u32,
    /// Number of users in all meetings.
    pub users: u32,
    /// Number of users in the largest meeting.
    pub largest_meeting: u32,
    /// Number of cameras in all meetings.
    pub videos: u32,
}

/// The limits of a server that the administrator has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLimits {
    /// Maximum number of meetings.
    pub max_meetings: Option<u32>,
    /// Maximum number of users, including expected users.
    pub max_users: Option<u32>,
    /// The tier: 0 for servers that are used first, higher numbers for backups.
    pub tier: u32,
}

/// A server of the pool.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Its identity.
    pub id: ServerId,
    /// The URL of its API; ends in `/api` or `/api/`.
    pub url: String,
    /// The URL of its API that browsers use for joins, if it is another one; ends like `url`.
    pub join_url: Option<String>,
    /// The secret shared with it.
    #[serde(skip)]
    pub secret: String,
    /// Its tag, if it is reserved for requests that ask for this tag.
    pub tag: Option<String>,
    /// The state that the administrator has set.
    pub state: AdminState,
    /// Its health, as found by polls.
    pub health: Health,
    /// Counted users × multiplier, including meetings placed since the last poll; `None` while the
    /// server is unavailable.
    pub load: Option<f64>,
    /// The load that one user causes, relative to a normal server; greater than 0.
    pub load_multiplier: f64,
    /// The numbers that the last successful poll counted.
    pub stats: ServerStats,
    /// Number of meetings placed on it that the last successful poll does not include.
    pub placed_since_poll: u32,
    /// The limits that the administrator has set.
    pub limits: ServerLimits,
    /// `bbbVersion` of its version document, if the server reveals it.
    pub bbb_version: Option<String>,
    /// Another entry of the pool that is the same server under another name, as the meetings that
    /// both report show.
    #[serde(skip)]
    pub twin_of: Option<ServerId>,
}

impl Server {
    /// Returns a new server, disabled and offline.
    #[must_use]
    pub fn new(id: ServerId, url: String, secret: String) -> Self {
        Self {
            id,
            url,
            join_url: None,
            secret,
            tag: None,
            state: AdminState::Disabled,
            health: Health::default(),
            load: None,
            load_multiplier: 1.0,
            stats: ServerStats::default(),
            placed_since_poll: 0,
            limits: ServerLimits::default(),
            bbb_version: None,
            twin_of: None,
        }
    }

    /// Returns whether the server is online, according to polls.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.health.online
    }

    /// Returns the number of users that its load stands for, including expected users.
    #[must_use]
    pub fn counted_users(&self) -> f64 {
        self.load.unwrap_or(0.0) / self.load_multiplier
    }

    /// Returns whether users may join meetings on the server.
    #[must_use]
    pub fn accepts_joins(&self) -> bool {
        self.is_online() && self.state != AdminState::Disabled
    }

    /// Returns whether new meetings may be placed on the server.
    #[must_use]
    pub fn accepts_meetings(&self) -> bool {
        self.is_online() && self.state == AdminState::Enabled && self.load.is_some()
    }

    /// Returns the URL of an API call on the server, without a query.
    #[must_use]
    pub fn endpoint(&self, call: &str) -> String {
        let base = self.url.trim_end_matches('/');
        if call.is_empty() { base.to_owned() } else { format!("{base}/{call}") }
    }

    /// Returns the URL to which browsers are redirected for joins, without a query.
    #[must_use]
    pub fn join_endpoint(&self) -> String {
        match &self.join_url {
            Some(url) => format!("{}/join", url.trim_end_matches('/')),
            None => self.endpoint("join"),
        }
    }

    /// Sets the administrator's state. A disabled server has no load.
    pub fn set_state(&mut self, state: AdminState) {
        self.state = state;
        if state == AdminState::Disabled {
            self.load = None;
        }
    }

    /// Returns the host of its URL, for display.
    #[must_use]
    pub fn hostname(&self) -> &str {
        hostname(&self.url).unwrap_or(&self.url)
    }
}

impl fmt::Debug for Server {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.id)
            .field("url", &self.url)
            .field("state", &self.state)
            .field("health", &self.health)
            .field("load", &self.load)
            .finish_non_exhaustive()
    }
}

/// Returns the host of an `http://` or `https://` URL, without user, port and path.
#[must_use]
pub fn hostname(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// Returns whether a text is usable as the URL of a server's API: HTTP or HTTPS with a host, an
/// optional port and a path. Credentials are not allowed, because every joining browser would see
/// them.
#[must_use]
pub fn is_endpoint(url: &str) -> bool {
    let is_printable = url.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let has_other_parts = url.contains(['?', '#', '@']);
    let Some(host) = hostname(url).filter(|_| is_printable && !has_other_parts) else {
        return false;
    };
    let authority = url.split('/').nth(2).unwrap_or_default();
    let port = match authority.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((_, port)) => port,
            None => return false,
        },
        None => &authority[host.len()..],
    };
    port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hostname_is_extracted() {
        assert_eq!(
            hostname("https://bbb1.example.test/bigbluebutton/api"),
            Some("bbb1.example.test")
        );
        assert_eq!(hostname("http://u:p@h:8443?x"), Some("h"));
        assert_eq!(hostname("http://[::1]:80/"), Some("::1"));
        assert_eq!(hostname("http:///x"), None);
        assert_eq!(hostname("ftp://x"), None);
    }

    #[test]
    fn endpoints_are_checked() {
        for url in ["https://b.example/bigbluebutton/api", "http://[::1]:8080/api", "http://b:80"] {
            assert!(is_endpoint(url), "{url}");
        }
        for url in [
            "not a url",
            "https://user:password@b/api",
            "https://b:99999/api",
            "https://b:/api",
            "http://[::1/api",
            "https://b/api?x",
            "https:///api",
        ] {
            assert!(!is_endpoint(url), "{url}");
        }
    }

    #[test]
    fn endpoints_are_joined_and_secrets_are_hidden() {
        let id = ServerId("a".to_owned());
        let mut server =
            Server::new(id, "https://b/bigbluebutton/api/".to_owned(), "hidden".to_owned());
        assert_eq!(server.join_endpoint(), "https://b/bigbluebutton/api/join");
        server.join_url = Some("https://proxy/b/bigbluebutton/api/".to_owned());
        assert_eq!(server.join_endpoint(), "https://proxy/b/bigbluebutton/api/join");
        assert_eq!(server.endpoint("create"), "https://b/bigbluebutton/api/create");
        assert_eq!(server.endpoint(""), "https://b/bigbluebutton/api");
        assert!(!format!("{server:?}").contains("hidden"));
        assert!(!server.accepts_joins());
    }
}
