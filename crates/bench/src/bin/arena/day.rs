//! A day of a university: its servers, the meetings of the day with the coming and going of each
//! user, and those of the four weeks before.

/// Seconds of the day.
pub(crate) type Second = i64;

/// Days run from 6:00 to 22:00.
pub(crate) const DAY_START: Second = 6 * 3600;
pub(crate) const DAY_END: Second = 22 * 3600;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Day {
    pub(crate) name: String,
    /// What a server of multiplier 1 carries with ease.
    pub(crate) comfortable_users: f64,
    pub(crate) servers: Vec<DayServer>,
    pub(crate) outages: Vec<ServerOutage>,
    /// In order of their creates.
    pub(crate) sessions: Vec<DaySession>,
    pub(crate) history: Vec<PastSession>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DayServer {
    pub(crate) id: String,
    pub(crate) load_multiplier: f64,
}

/// A server that is gone for some time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServerOutage {
    /// Its place among the servers.
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
    /// The most users at a time.
    pub(crate) max_users: u32,
    /// Where it is already when the day begins.
    pub(crate) server: Option<usize>,
    /// Seconds after the create, for each user.
    pub(crate) joins: Vec<Second>,
    pub(crate) leaves: Vec<Second>,
    pub(crate) cams: u32,
    pub(crate) mods: u32,
}

/// A meeting of an earlier day.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastSession {
    /// -4 to -1.
    pub(crate) week: i64,
    /// 0 is Monday.
    pub(crate) weekday: i64,
    pub(crate) meeting_id: String,
    pub(crate) created_at: Second,
    pub(crate) max_users: u32,
    pub(crate) duration: Second,
    /// Until its users fell below half of the peak.
    pub(crate) busy_time: Second,
    pub(crate) max_cams: u32,
}

impl Day {
    /// Whether a server is gone at a moment.
    pub(crate) fn is_down(&self, server: usize, at: Second) -> bool {
        self.outages.iter().any(|one| one.server == server && one.down_at <= at && at < one.up_at)
    }
}
