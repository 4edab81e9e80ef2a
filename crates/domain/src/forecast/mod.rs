//! The load forecast: estimates what a new meeting costs on each server, from the users that each
//! server is expected to have over the next two hours.
//!
//! The forecast of a running meeting says how many users will still arrive and when they will
//! leave. The timetable says which meetings are about to be created. Those that are expected to be
//! larger than the new meeting are placed first, as if they were running already. The cost of the
//! new meeting on a server is mainly the highest load that the server reaches while the meeting
//! lasts. These placements are not kept; the next create computes them again.

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

/// A meeting that runs on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningMeeting {
    /// Its identity.
    pub key: MeetingKey,
    /// The server that it runs on.
    pub server: ServerId,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its users, including those who have been redirected but have not arrived yet.
    pub users: u32,
    /// Users that were expected when it was placed.
    pub expected_users: u32,
}

/// A server that accepts meetings.
#[derive(Clone, Debug, PartialEq)]
pub struct ForecastServer {
    /// Its identity.
    pub id: ServerId,
    /// The load that one user causes on it.
    pub load_multiplier: f64,
}

/// A meeting that is to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewMeeting<'a> {
    /// Its identity.
    pub key: &'a MeetingKey,
    /// The size that its front-end announced.
    pub size_hint: Option<u32>,
    /// The maximum number of users that it admits.
    pub max_users: Option<u32>,
}

/// The number of users that a new meeting is expected to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectedUsers {
    /// The number of users.
    pub users: u32,
    /// The source of the number.
    pub source: ExpectedUsersSource,
}

/// The source of a number of expected users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectedUsersSource {
    /// The front-end announced it.
    Hint,
    /// It was learned from this number of earlier sessions of the same meeting.
    Learned(usize),
    /// It is the mean size of meetings that were seen only once.
    Typical,
    /// Nothing is known, so the configured default is used.
    #[default]
    Reserve,
}

impl ExpectedUsersSource {
    /// Returns `hint`, `learned`, `typical` or `reserve`.
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
