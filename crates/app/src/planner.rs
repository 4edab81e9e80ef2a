//! What placement foresees: how many seats a new meeting will take, and what each server will have
//! to give.

use std::sync::Arc;

use domain::placement::{Prices, Source};
use domain::{Meeting, MeetingKey, Session, Timestamp};

/// What is foreseen of a meeting that needs a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Seats that it will bring.
    pub seats: u32,
    /// Where that number comes from.
    pub source: Source,
    /// What the servers will have to give with it.
    pub prices: Option<Arc<Prices>>,
}

/// What is told of a new meeting.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// The name under which its history is kept.
    pub key: &'a MeetingKey,
    /// Users that its front-end announces.
    pub hint: Option<u32>,
    /// Users that it may have.
    pub users_max: Option<u32>,
}

/// What placement foresees.
#[derive(Debug, Default)]
pub struct Planner {}

impl Planner {
    /// What is foreseen of a new meeting.
    #[must_use]
    pub fn forecast(&self, newcomer: Newcomer<'_>, reserve: u32, _now: Timestamp) -> Forecast {
        let most = newcomer.users_max.unwrap_or(u32::MAX);
        let (seats, source) = match newcomer.hint {
            Some(hint) => (hint, Source::Hint),
            None => (reserve, Source::Reserve),
        };
        Forecast { seats: seats.min(most).max(1), source, prices: None }
    }

    /// A meeting was placed.
    pub fn placed(&self, _meeting: &Meeting) {}

    /// Somebody joined.
    pub fn joined(&self, _key: &MeetingKey) {}

    /// A meeting is gone.
    pub fn ended(&self, _key: &MeetingKey) {}

    /// A session was recorded.
    pub fn learn(&self, _session: &Session) {}
}
