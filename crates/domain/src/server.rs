//! A BigBlueButton server of the pool: what the administrator wants of it, and what was seen.

use std::fmt;

use serde::Serialize;

use crate::health::Health;

/// Identifies a server: a UUID, or its host name under `SERVER_ID_IS_HOSTNAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ServerId(pub String);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the administrator wants of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// It gets new meetings while it is online.
    Enabled,
    /// It gets no new meetings; those it has go on. Becomes disabled when it has none left.
    Cordoned,
    /// It is not used; joins are refused.
    #[default]
    Disabled,
}

impl AdminState {
    /// As in the original's output: `enabled`, `cordoned`, `disabled`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Cordoned => "cordoned",
            Self::Disabled => "disabled",
        }
    }

    /// Reads [`Self::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Cordoned, Self::Disabled].into_iter().find(|one| one.name() == name)
    }
}

/// What the last good poll counted on a server, over all of its meetings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerStats {
    /// Number of meetings, breakout rooms among them.
    pub meetings: u32,
    /// Users in all of them.
    pub users: u32,
    /// Users in the largest.
    pub largest_meeting: u32,
    /// Cameras.
    pub videos: u32,
}

/// How much an administrator lets a server take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerLimits {
    /// Meetings at most.
    pub max_meetings: Option<u32>,
    /// Users at most, those that are expected included.
    pub max_users: Option<u32>,
    /// 0 for servers that are used first; higher ones are backups.
    pub tier: u32,
}

/// A server of the pool.
#[derive(Clone, PartialEq, Serialize)]
pub struct Server {
    /// Its identity.
    pub id: ServerId,
    /// Its API endpoint: ends in `/api` or `/api/`.
    pub url: String,
    /// The secret shared with it.
    #[serde(skip)]
    pub secret: String,
    /// Its tag, if it is reserved for requests that ask for it.
    pub tag: Option<String>,
    /// What the administrator wants of it.
    pub state: AdminState,
    /// What polls found.
    pub health: Health,
    /// Seats × multiplier, with what was promised since the last poll; `None` while unavailable.
    pub load: Option<f64>,
    /// How much heavier a user weighs here than on a normal server; > 0.
    pub load_multiplier: f64,
    /// What the last good poll counted.
    pub stats: ServerStats,
    /// Meetings placed on it that this poll does not count yet.
    pub placed_since_poll: u32,
    /// How much it may take.
    pub limits: ServerLimits,
    /// `bbbVersion` of its version document, if it reveals it.
    pub bbb_version: Option<String>,
}

impl Server {
    /// A new server: disabled and offline.
    #[must_use]
    pub fn new(id: ServerId, url: String, secret: String) -> Self {
        Self {
            id,
            url,
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
        }
    }

    /// Whether it answers polls.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.health.online
    }

    /// Seats taken or promised, whatever they weigh here.
    #[must_use]
    pub fn counted_users(&self) -> f64 {
        self.load.unwrap_or(0.0) / self.load_multiplier
    }

    /// Whether people may be sent to meetings on it.
    #[must_use]
    pub fn accepts_joins(&self) -> bool {
        self.is_online() && self.state != AdminState::Disabled
    }

    /// Whether new meetings may be placed on it.
    #[must_use]
    pub fn accepts_meetings(&self) -> bool {
        self.is_online() && self.state == AdminState::Enabled && self.load.is_some()
    }

    /// The endpoint of a call on this server, without a query.
    #[must_use]
    pub fn endpoint(&self, call: &str) -> String {
        let base = self.url.trim_end_matches('/');
        if call.is_empty() { base.to_owned() } else { format!("{base}/{call}") }
    }

    /// Changes what the administrator wants; a disabled server has no load.
    pub fn set_state(&mut self, state: AdminState) {
        self.state = state;
        if state == AdminState::Disabled {
            self.load = None;
        }
    }

    /// The host of its URL, for people to read.
    #[must_use]
    pub fn hostname(&self) -> &str {
        hostname(&self.url).unwrap_or(&self.url)
    }
}

impl fmt::Debug for Server {
    /// Without the secret.
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

/// The host of an `http://` or `https://` URL, without user, port and path.
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

/// Whether a text can be the address of a server's API: HTTP with a host, perhaps a port, and a
/// path. Not with a password, which every joining browser would see.
#[must_use]
pub fn is_endpoint(url: &str) -> bool {
    let printable = url.bytes().all(|byte| (0x21..0x7f).contains(&byte));
    let Some(host) = hostname(url).filter(|_| printable && !url.contains(['?', '#', '@'])) else {
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
    fn hosts() {
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
    fn addresses_of_servers() {
        for good in ["https://b.example/bigbluebutton/api", "http://[::1]:8080/api", "http://b:80"]
        {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "not a url",
            "https://user:password@b/api",
            "https://b:99999/api",
            "https://b:/api",
            "http://[::1/api",
            "https://b/api?x",
            "https:///api",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }

    #[test]
    fn endpoints_and_secrets() {
        let id = ServerId("a".to_owned());
        let server =
            Server::new(id, "https://b/bigbluebutton/api/".to_owned(), "hidden".to_owned());
        assert_eq!(server.endpoint("create"), "https://b/bigbluebutton/api/create");
        assert_eq!(server.endpoint(""), "https://b/bigbluebutton/api");
        assert!(!format!("{server:?}").contains("hidden"));
        assert!(!server.accepts_joins());
    }
}
