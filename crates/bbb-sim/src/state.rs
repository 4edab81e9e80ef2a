//! All that one server knows, behind one lock.

use std::time::Duration;

use crate::checksum::Algorithm;
use crate::fault::Fault;
use crate::latency::Latency;
use crate::log::Log;
use crate::meeting::Meetings;
use crate::noise::Noise;

/// The changeable part of a server.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) secret: String,
    pub(crate) version: String,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) fault: Option<Fault>,
    pub(crate) meetings: Meetings,
    pub(crate) log: Log,
    /// How often it crashed; what was under way before has no effect after.
    pub(crate) life: u64,
    latency: Latency,
    noise: Noise,
}

impl State {
    /// A fresh server.
    pub(crate) fn new(number: usize, latency: Latency) -> Self {
        Self {
            secret: format!("secret{number}"),
            version: "2.7.12".to_owned(),
            algorithms: Algorithm::ALL.to_vec(),
            fault: None,
            meetings: Meetings::default(),
            log: Log::new(),
            life: 0,
            noise: latency.noise(number),
            latency,
        }
    }

    pub(crate) fn set_latency(&mut self, number: usize, latency: Latency) {
        self.noise = latency.noise(number);
        self.latency = latency;
    }

    /// How long the next answer takes.
    pub(crate) fn delay(&mut self) -> Duration {
        self.latency.draw(&mut self.noise)
    }
}
