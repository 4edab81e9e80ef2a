//! The changeable state of one server, which one lock protects.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::callback::OutgoingCallback;
use crate::calls::CallFailure;
use crate::checksum::Algorithm;
use crate::ending::Endings;
use crate::fault::Fault;
use crate::latency::{DelaySource, Latency, MeetingMoment};
use crate::log::CallLog;
use crate::meeting::LiveMeetings;
use crate::web_server::WebServerRules;

/// The changeable state of a server.
#[derive(Debug)]
pub(crate) struct SimState {
    pub(crate) secret: String,
    pub(crate) version: String,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) fault: Option<Fault>,
    pub(crate) meetings: LiveMeetings,
    pub(crate) endings: Endings,
    pub(crate) log: CallLog,
    /// Increases with each crash, restart and reset. A request that arrived in an earlier generation has no effect.
    pub(crate) generation: u64,
    /// The latency of calls that have none of their own.
    pub(crate) latency: DelaySource,
    /// Latencies by the name of the call.
    pub(crate) call_latencies: BTreeMap<String, DelaySource>,
    /// How long the server works on a create.
    pub(crate) create_latency: DelaySource,
    pub(crate) meeting_moment: MeetingMoment,
    pub(crate) web_server: WebServerRules,
    /// How the server says that a meeting does not exist.
    pub(crate) unknown_meeting: CallFailure,
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
            endings: Endings::new(number),
            log: CallLog::new(),
            generation: 0,
            latency: DelaySource::new(latency, number),
            call_latencies: BTreeMap::new(),
            create_latency: DelaySource::new(Latency::None, number),
            meeting_moment: MeetingMoment::default(),
            web_server: WebServerRules::NONE,
            unknown_meeting: CallFailure::not_found(),
        }
    }

    /// Draws the delay of the next request of this call.
    pub(crate) fn draw_delay(&mut self, call: &str) -> Duration {
        self.call_latencies.get_mut(call).unwrap_or(&mut self.latency).draw()
    }

    /// Ends the meetings that have expired and returns the callbacks that are to be sent.
    pub(crate) fn end_expired(&mut self, now_ms: i64) -> Vec<OutgoingCallback> {
        self.endings.end_expired(&mut self.meetings, now_ms);
        self.endings.callbacks.take_outgoing()
    }
}
