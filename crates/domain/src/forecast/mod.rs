//! Booked seats with ends: which server a new meeting costs least, by the seats that each server
//! will have to give over the next two hours.
//!
//! Of each meeting it is foreseen how many users will still come, and when they will leave; of
//! the timetable, which meetings are about to be created. Those that are larger than the new one
//! are placed first, as if they were here already, and the new one where the fullest moment that
//! it lives through is least full. Nothing of that is kept: at the next create it is done again.

mod cost;
mod load_curve;
mod load_forecast;
mod meeting_forecast;
mod policy;
mod pool_forecast;
mod probe;
#[cfg(test)]
mod tests;

pub use cost::{CandidateServer, CostEstimate};
pub use load_curve::{LoadCurve, STEP_MS};
pub use load_forecast::LoadForecast;
pub use policy::ForecastPolicy;
pub use pool_forecast::{PoolChange, PoolForecast, ServerSnapshot, ServerUsers};

use serde::Serialize;

use crate::meeting::MeetingKey;
use crate::server::ServerId;
use crate::time::Timestamp;

/// A meeting on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningMeeting {
    /// Its name.
    pub key: MeetingKey,
    /// Where it is.
    pub server: ServerId,
    /// When it was created.
    pub created_at: Timestamp,
    /// Users that it has, those among them who are on their way.
    pub users: u32,
    /// Users that were expected of it when it was placed.
    pub expected_users: u32,
}

/// A server that takes meetings.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastServer {
    /// Its name.
    pub id: ServerId,
    /// How much of it a user takes up.
    pub load_multiplier: f64,
}

/// A meeting that looks for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMeeting<'a> {
    /// Its name.
    pub key: &'a MeetingKey,
    /// The size that its front-end announced.
    pub size_hint: Option<u32>,
    /// How many users it lets in at most.
    pub max_users: Option<u32>,
}

/// How many users a new meeting is expected to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectedUsers {
    /// So many.
    pub users: u32,
    /// Why.
    pub source: ExpectedUsersSource,
}

/// Where the number of expected seats comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedUsersSource {
    /// The front-end said so.
    Hint,
    /// From so many earlier sessions of the same meeting.
    Learned(usize),
    /// From what meetings that are new have drawn.
    Typical,
    /// Nothing is known.
    #[default]
    Reserve,
}

impl ExpectedUsersSource {
    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Learned(_) => "learned",
            Self::Typical => "typical",
            Self::Reserve => "reserve",
        }
    }
}
