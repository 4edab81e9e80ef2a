//! What a pool is started with, what meetings are preloaded with, and how they look from outside.

use crate::clock::SimClock;
use crate::latency::Latency;

/// How to start a pool.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// How many servers to begin with.
    pub servers: usize,
    /// The time that meetings are stamped with. Latencies always take real time.
    pub clock: SimClock,
    /// Which rules the servers keep.
    pub strictness: Strictness,
    /// How long every server takes to answer, until told otherwise.
    pub latency: Latency,
    /// All servers on one port, told apart by a path prefix `/sN` or a host name `bbbN.anything`.
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

/// Which rules a server keeps where the recorded answers are laxer than BigBlueButton itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The rules of BigBlueButton.
    #[default]
    Real,
    /// The rules of the simple server with which the conformance answers were recorded.
    Recorded,
}

/// Meetings that are there without anyone having created them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preload {
    /// Their ids. A meeting that exists already is replaced.
    pub ids: Vec<String>,
    /// Users in each.
    pub users: u32,
    /// How many of these are moderators (at most all of them).
    pub moderators: u32,
    /// How many of these have a camera on.
    pub videos: u32,
    /// How long ago the meetings were created.
    pub age_s: u64,
    /// Metadata, without `meta_`.
    pub meta: Vec<(String, String)>,
    /// Whether these are breakout rooms.
    pub breakout: bool,
}

impl Default for Preload {
    /// No ids; empty meetings of an hour's age.
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

/// A meeting as its server sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeetingView {
    /// The id the client chose.
    pub id: String,
    /// The id the server made of it.
    pub internal_id: String,
    /// Its title.
    pub name: String,
    /// Users in it.
    pub users: u32,
    /// How many of these are moderators.
    pub moderators: u32,
    /// How many of these have a camera on.
    pub videos: u32,
    /// When it was created, in milliseconds since 1970.
    pub create_time_ms: i64,
    /// The number to dial.
    pub voice_bridge: String,
    /// The password of viewers.
    pub attendee_pw: String,
    /// The password of moderators.
    pub moderator_pw: String,
    /// Whether anyone has ever been in it.
    pub has_user_joined: bool,
    /// Whether it is a breakout room.
    pub breakout: bool,
    /// Its metadata, without `meta_`, in order of arrival.
    pub meta: Vec<(String, String)>,
}
