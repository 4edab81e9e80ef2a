//! How a server handles a request: it is logged, waits, takes effect unless a fault prevents that, and is answered.

use std::time::Duration;

use tokio::time::sleep;

use crate::calls::{SimResponse, form_text};
use crate::fault::FaultMode;
use crate::log::RecordedRequest;
use crate::params::Params;
use crate::server::BbbServer;
use crate::state::SimState;

/// A request that was read, and how long it is to take.
pub(crate) struct Arrival {
    /// How long the call waits before it takes effect, or before the server begins to work on it.
    delay: Duration,
    /// How long the server works on a create.
    work: Duration,
    /// The generation of the server in which the request arrived.
    generation: u64,
    /// The status with which a web server refuses the request.
    pub(crate) refusal: Option<u16>,
    /// How long a web server waits for the answer.
    pub(crate) gateway_timeout: Option<Duration>,
}

/// The result of a request.
pub(crate) enum RequestResult {
    /// This response.
    Response(SimResponse),
    /// A fault in place of a response.
    Fault(FaultMode),
}

/// A request that took effect, or did not because of a fault.
pub(crate) struct Effect {
    pub(crate) result: RequestResult,
    /// Whether it created a meeting.
    created: bool,
}

/// Whether a request may go on.
enum Treatment {
    Open,
    /// The server is frozen.
    Frozen,
    Fault(FaultMode),
}

impl Arrival {
    /// Whether the request takes no time.
    pub(crate) fn is_immediate(&self) -> bool {
        self.delay.is_zero() && self.work.is_zero()
    }
}

impl BbbServer {
    /// Logs a request and returns how it is to be handled.
    pub(crate) fn record_request(&self, request: &RecordedRequest) -> Arrival {
        let mut state = self.lock_state();
        state.log.record_request(request);
        let is_create = request.call == "create";
        let has_fault =
            state.fault.as_ref().is_some_and(|fault| fault.affects(request.call_label()));
        let refusal = if has_fault { None } else { state.web_server.find_refusal(request) };
        Arrival {
            refusal,
            gateway_timeout: state.web_server.gateway_timeout,
            delay: state.draw_delay(request.call_label()),
            work: if is_create { state.create_latency.draw() } else { Duration::ZERO },
            generation: state.generation,
        }
    }

    /// Whether the server does not even read this call.
    pub(crate) fn is_silent(&self, call: &str) -> bool {
        let label = if call.is_empty() { "index" } else { call };
        let state = self.lock_state();
        let fault = state.fault.as_ref().filter(|fault| fault.mode == FaultMode::Silent);
        fault.is_some_and(|fault| fault.affects(label))
    }

    /// Lets a request take effect after its time, and returns the result when that is ready.
    pub(crate) async fn complete_request(
        self,
        request: RecordedRequest,
        arrival: Arrival,
    ) -> RequestResult {
        sleep(arrival.delay).await;
        let before = self.work_before_effect(&request, arrival.work);
        sleep(before).await;
        let effect = self.until_thawed(|| self.take_effect(&request, &arrival)).await;
        let after = arrival.work.saturating_sub(before);
        if !effect.created || after.is_zero() {
            return effect.result;
        }
        sleep(after).await;
        match self.until_thawed(|| self.find_late_fault(&request, &arrival)).await {
            Some(mode) => RequestResult::Fault(mode),
            None => effect.result,
        }
    }

    /// Repeats this whenever the fault changes, as long as it returns `None` because the server is frozen.
    async fn until_thawed<T>(&self, mut attempt: impl FnMut() -> Option<T>) -> T {
        loop {
            let fault_change = self.0.fault_changed.notified();
            if let Some(result) = attempt() {
                return result;
            }
            fault_change.await;
        }
    }

    /// Returns how much of its work a create waits before its meeting exists. A repeated create does not wait.
    fn work_before_effect(&self, request: &RecordedRequest, work: Duration) -> Duration {
        let state = self.lock_state();
        let before = state.meeting_moment.work_before(work);
        if before.is_zero() {
            return before;
        }
        let form = form_text(request);
        let params = Params::parse(&request.query, &form, self.0.context.strictness);
        let exists = params.get("meetingID").is_some_and(|id| state.meetings.get(id).is_some());
        if exists { Duration::ZERO } else { before }
    }

    /// Lets a request take effect, unless a fault prevents it. Returns `None` while the server is frozen.
    pub(crate) fn take_effect(
        &self,
        request: &RecordedRequest,
        arrival: &Arrival,
    ) -> Option<Effect> {
        let mut state = self.lock_state();
        let treatment = find_treatment(&state, request, arrival);
        if let Treatment::Frozen = treatment {
            return None;
        }
        let takes_effect = match &treatment {
            Treatment::Open => true,
            Treatment::Fault(mode) => mode.comes_after_effect(),
            Treatment::Frozen => false,
        };
        let mut outgoing = state.end_expired(self.now_ms());
        let handled = takes_effect.then(|| {
            let mut context = self.call_context(&mut state);
            (context.handle_request(request), context.created)
        });
        outgoing.extend(state.endings.callbacks.take_outgoing());
        drop(state);
        self.send_callbacks(outgoing);
        Some(match (treatment, handled) {
            (Treatment::Fault(mode), handled) => {
                let created = handled.is_some_and(|(_, created)| created);
                Effect { result: RequestResult::Fault(mode), created }
            }
            (_, Some((response, created))) => {
                Effect { result: RequestResult::Response(response), created }
            }
            (_, None) => return None,
        })
    }

    /// Returns the fault that prevents the answer to a request that took effect. `None` while the server is frozen.
    fn find_late_fault(
        &self,
        request: &RecordedRequest,
        arrival: &Arrival,
    ) -> Option<Option<FaultMode>> {
        match find_treatment(&self.lock_state(), request, arrival) {
            Treatment::Open => Some(None),
            Treatment::Frozen => None,
            Treatment::Fault(mode) => Some(Some(mode)),
        }
    }
}

/// Returns whether a request may go on. One from before a crash never may.
fn find_treatment(state: &SimState, request: &RecordedRequest, arrival: &Arrival) -> Treatment {
    if state.generation != arrival.generation {
        return Treatment::Fault(FaultMode::Reset);
    }
    match state.fault.as_ref().filter(|fault| fault.affects(request.call_label())) {
        None => Treatment::Open,
        Some(fault) if fault.mode == FaultMode::Freeze => Treatment::Frozen,
        Some(fault) => Treatment::Fault(fault.mode.clone()),
    }
}
