//! The changeable state of one server, which one lock protects.

use std::time::Duration;

use crate::checksum::Algorithm;
use crate::fault::Fault;
use crate::latency::Latency;
use crate::log::CallLog;
use crate::meeting::LiveMeetings;
use crate::random::RandomSource;

/// The changeable state of a server.
#[derive(Debug)]
pub(crate) struct SimState {
    pub(crate) secret: String,
    pub(crate) version: String,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) fault: Option<Fault>,
    pub(crate) meetings: LiveMeetings,
    pub(crate) log: CallLog,
    /// Increases with each crash and reset. A request that arrived in an earlier generation has no effect.
    pub(crate) generation: u64,
    latency: Latency,
    random: RandomSource,
}

impl SimState {
    /// Creates the initial state.
    pub(crate) fn new(number: usize, latency: Latency) -> Self {
        Self {
            secret: format!("secret{number}"),
            version: "2.7.12".to_owned(),
            algorithms: Algorithm::ALL.to_vec(),
            fault: None,
            meetings: LiveMeetings::default(),
            log: CallLog::new(),
            generation: 0,
            random: latency.random_source(number),
            latency,
        }
    }

    pub(crate) fn set_latency(&mut self, number: usize, latency: Latency) {
        self.random = latency.random_source(number);
        self.latency = latency;
    }

    /// Draws the delay of the next response.
    pub(crate) fn draw_delay(&mut self) -> Duration {
        self.latency.draw_delay(&mut self.random)
    }
}
