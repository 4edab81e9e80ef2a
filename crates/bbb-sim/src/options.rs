//! Options of a pool and of preloaded meetings, and the view of a meeting that tests get.

use crate::clock::SimClock;
use crate::latency::Latency;

/// Options for starting a pool.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// Number of servers at the start.
    pub servers: usize,
    /// The clock of the meetings. Latencies always take real time.
    pub clock: SimClock,
    /// The rules that the servers apply.
    pub strictness: Strictness,
    /// The latency of every server, until a test changes it.
    pub latency: Latency,
    /// Whether all servers share one port. They are distinguished by a path prefix `/sN` or a host name `bbbN.anything`.
    pub shared_port: bool,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            servers: 1,
            clock: SimClock::Real,
            strictness: Strictness::Real,
            latency: Latency::None,
            shared_port: false,
        }
    }
}

/// The rules that a server applies where the recorded responses are less strict than BigBlueButton itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The rules of BigBlueButton.
    #[default]
    Real,
    /// The rules of the simple server with which the conformance responses were recorded.
    Recorded,
}

/// Meetings that a test adds to a server without the call `create`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preload {
    /// The meeting ids. A meeting that exists already is replaced.
    pub ids: Vec<String>,
    /// Number of users in each meeting.
    pub users: u32,
    /// Number of moderators among the users.
    pub moderators: u32,
    /// Number of users whose camera is on.
    pub videos: u32,
    /// How long ago the meetings were created, in seconds.
    pub age_s: u64,
    /// Metadata; names without `meta_`.
    pub meta: Vec<(String, String)>,
    /// Whether the meetings are breakout rooms.
    pub breakout: bool,
}

impl Default for Preload {
    /// Returns a preload without ids, for empty meetings that were created an hour ago.
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            users: 0,
            moderators: 1,
            videos: 0,
            age_s: 3_600,
            meta: Vec::new(),
            breakout: false,
        }
    }
}

/// The state of a meeting at one point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingView {
    /// The id that the client chose.
    pub id: String,
    /// The internal id that the server generated.
    pub internal_id: String,
    /// The name.
    pub name: String,
    /// Number of users.
    pub users: u32,
    /// Number of moderators among the users.
    pub moderators: u32,
    /// Number of users whose camera is on.
    pub videos: u32,
    /// When it was created, in milliseconds since 1970.
    pub create_time_ms: i64,
    /// The voice bridge.
    pub voice_bridge: String,
    /// The password of viewers.
    pub attendee_pw: String,
    /// The password of moderators.
    pub moderator_pw: String,
    /// Whether any user has ever joined.
    pub has_user_joined: bool,
    /// Whether it is a breakout room.
    pub breakout: bool,
    /// Metadata in order of arrival; names without `meta_`.
    pub meta: Vec<(String, String)>,
}
