//! A day of a university: its servers, the meetings of the day with the joins and leaves of each
//! user, and the meetings of the four weeks before.

/// Seconds since midnight, or a duration in seconds.
pub(crate) type Second = i64;

// Days last from 6:00 to 22:00.
pub(crate) const DAY_START: Second = 6 * 3600;
pub(crate) const DAY_END: Second = 22 * 3600;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Day {
    pub(crate) name: String,
    /// The number of users that a server with load multiplier 1 carries comfortably.
    pub(crate) comfortable_users: f64,
    pub(crate) servers: Vec<DayServer>,
    pub(crate) outages: Vec<ServerOutage>,
    /// The meetings of the day, in order of their creation.
    pub(crate) sessions: Vec<DaySession>,
    /// The meetings of the four weeks before.
    pub(crate) history: Vec<PastSession>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DayServer {
    pub(crate) id: String,
    pub(crate) load_multiplier: f64,
}

/// A time during which a server is down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerOutage {
    /// The index of the server.
    pub(crate) server: usize,
    pub(crate) down_at: Second,
    pub(crate) up_at: Second,
}

/// A meeting of the day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DaySession {
    pub(crate) name: String,
    pub(crate) meeting_id: String,
    pub(crate) created_at: Second,
    pub(crate) ended_at: Second,
    /// The greatest number of users at the same time.
    pub(crate) max_users: u32,
    /// The index of the server on which it already runs when the day begins.
    pub(crate) server: Option<usize>,
    /// When each user joins, in seconds after the create.
    pub(crate) joins: Vec<Second>,
    /// When each user leaves, in seconds after the create.
    pub(crate) leaves: Vec<Second>,
    /// Number of webcams.
    pub(crate) cams: u32,
    /// Number of moderators.
    pub(crate) mods: u32,
}

/// A meeting of an earlier day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastSession {
    /// The week relative to that of the day, from -4 to -1.
    pub(crate) week: i64,
    /// The weekday; 0 is Monday.
    pub(crate) weekday: i64,
    pub(crate) meeting_id: String,
    pub(crate) created_at: Second,
    pub(crate) max_users: u32,
    pub(crate) duration: Second,
    /// The time from the create until its users fell below half of the peak.
    pub(crate) busy_time: Second,
    pub(crate) max_cams: u32,
}

impl Day {
    /// Returns whether a server is down at this time.
    pub(crate) fn is_down(&self, server: usize, at: Second) -> bool {
        let mut outages = self.outages.iter().filter(|outage| outage.server == server);
        outages.any(|outage| outage.down_at <= at && at < outage.up_at)
    }
}
