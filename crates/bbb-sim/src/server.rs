//! One simulated server: the handle by which tests read its state, change it and set faults.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::calls::{CallContext, SimResponse};
use crate::checksum::Algorithm;
use crate::clock::SimClock;
use crate::create;
use crate::fault::{Fault, FaultMode};
use crate::http::ServerRoute;
use crate::latency::Latency;
use crate::listener::ServerListener;
use crate::log::RecordedRequest;
use crate::meeting::LiveMeeting;
use crate::options::{MeetingView, Preload, Strictness};
use crate::params::Params;
use crate::schedule::UserSchedule;
use crate::state::SimState;
use crate::sync::lock;

/// A handle on one simulated server. Clones are handles on the same server.
#[derive(Clone, Debug)]
pub struct BbbServer(Arc<ServerInner>);

#[derive(Debug)]
struct ServerInner {
    number: usize,
    context: PoolContext,
    /// The port of the whole pool, if the servers share one. Otherwise this server has a listener of its own.
    shared_port: Option<u16>,
    listener: OnceLock<ServerListener>,
    state: Mutex<SimState>,
    /// Notified when the fault changes; wakes requests that wait on a frozen server.
    fault_changed: Notify,
}

/// What all servers of a pool share.
#[derive(Clone, Debug)]
pub(crate) struct PoolContext {
    pub(crate) clock: SimClock,
    pub(crate) strictness: Strictness,
    /// The next number for generated values.
    pub(crate) sequence: Arc<AtomicU64>,
}

/// How a request that was read is to be handled.
pub(crate) struct RequestTiming {
    /// How long the effect and the response are delayed.
    pub(crate) delay: Duration,
    /// The generation of the server in which the request arrived.
    pub(crate) generation: u64,
}

/// The result of a request.
pub(crate) enum RequestResult {
    /// This response.
    Response(SimResponse),
    /// A fault in place of a response.
    Fault(FaultMode),
}

impl BbbServer {
    /// Creates a server on the shared port of its pool.
    pub(crate) fn on_shared_port(
        port: u16,
        number: usize,
        context: PoolContext,
        latency: Latency,
    ) -> Self {
        Self::new(Some(port), number, context, latency)
    }

    /// Creates a server that listens on a port of its own.
    pub(crate) fn on_own_port(
        number: usize,
        context: PoolContext,
        latency: Latency,
    ) -> io::Result<Self> {
        let server = Self::new(None, number, context, latency);
        let listener = ServerListener::new(Handle::current(), ServerRoute::Single(server.clone()))?;
        let _ = server.0.listener.set(listener);
        Ok(server)
    }

    fn new(
        shared_port: Option<u16>,
        number: usize,
        context: PoolContext,
        latency: Latency,
    ) -> Self {
        let state = Mutex::new(SimState::new(number, latency));
        let (listener, fault_changed) = (OnceLock::new(), Notify::new());
        Self(Arc::new(ServerInner { number, context, shared_port, listener, state, fault_changed }))
    }

    fn lock_state(&self) -> MutexGuard<'_, SimState> {
        lock(&self.0.state)
    }

    /// Returns the number of the server in its pool, counted from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// Returns the port on which the server listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.shared_port.or_else(|| self.0.listener.get().map(ServerListener::port)).unwrap_or(0)
    }

    /// Returns the URL of the API, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let prefix = self.0.shared_port.map(|_| format!("/s{}", self.0.number));
        format!("http://127.0.0.1:{}{}/bigbluebutton/api", self.port(), prefix.unwrap_or_default())
    }

    /// Returns the secret: `secretN` for server N, unless it was changed.
    #[must_use]
    pub fn secret(&self) -> String {
        self.lock_state().secret.clone()
    }

    /// Changes the secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.lock_state().secret);
    }

    /// Changes the `bbbVersion` of the version call, which is initially "2.7.12".
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.lock_state().version);
    }

    /// Sets the allowed checksum algorithms, which are initially all four.
    pub fn set_algorithms(&self, algorithms: &[Algorithm]) {
        self.lock_state().algorithms = algorithms.to_vec();
    }

    /// Sets a fault, which also affects requests that are not yet answered.
    pub fn set_fault(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        let closes_listener = fault.closes_listener();
        self.lock_state().fault = Some(fault);
        self.0.fault_changed.notify_waiters();
        match self.0.listener.get() {
            Some(listener) if closes_listener => listener.close(),
            Some(listener) => listener.open(ServerRoute::Single(self.clone())),
            None => {}
        }
    }

    /// Crashes the server. All meetings and all requests in flight are lost, and connecting fails until the fault is
    /// cleared, which starts the server again without meetings.
    pub fn crash(&self) {
        let mut state = self.lock_state();
        state.generation += 1;
        state.meetings.clear();
        state.fault = Some(FaultMode::Refuse.into());
        drop(state);
        self.set_fault(FaultMode::Refuse);
    }

    /// Clears the fault. Requests that already hang continue to hang.
    pub fn clear_fault(&self) {
        self.lock_state().fault = None;
        self.0.fault_changed.notify_waiters();
        if let Some(listener) = self.0.listener.get() {
            listener.open(ServerRoute::Single(self.clone()));
        }
    }

    /// Changes the latency.
    pub fn set_latency(&self, latency: Latency) {
        self.lock_state().set_latency(self.0.number, latency);
    }

    /// Adds meetings without the call `create`.
    pub fn preload(&self, preload: Preload) {
        let created_ms = self.now_ms() - i64::try_from(preload.age_s).unwrap_or(0) * 1_000;
        let mut state = self.lock_state();
        for id in &preload.ids {
            let params = preload_params(id, &preload);
            let meeting =
                create::build_meeting(&self.call_context(&mut state), id, &params, created_ms);
            state.meetings.insert(LiveMeeting {
                users: preload.users,
                moderators: preload.moderators.min(preload.users),
                videos: preload.videos,
                joined: preload.users > 0,
                ..meeting
            });
        }
    }

    /// Sets the number of users in a meeting and removes its schedule. Returns whether the meeting exists.
    pub fn set_users(&self, meeting: &str, users: u32, moderators: u32) -> bool {
        self.change_meeting(meeting, |meeting| {
            meeting.users = users;
            meeting.moderators = moderators;
            meeting.joined = true;
            meeting.schedule = None;
        })
    }

    /// Sets the number of cameras in a meeting. Returns whether the meeting exists.
    pub fn set_videos(&self, meeting: &str, videos: u32) -> bool {
        self.change_meeting(meeting, |meeting| meeting.videos = videos)
    }

    /// Sets the schedule of a meeting, whose users are added to those who join by call. At least one user is a moderator.
    /// Returns whether the meeting exists.
    pub fn set_schedule(&self, meeting: &str, schedule: UserSchedule) -> bool {
        let schedule = schedule.sorted();
        self.change_meeting(meeting, |meeting| {
            meeting.moderators = meeting.moderators.max(1);
            meeting.schedule = Some(schedule);
        })
    }

    fn change_meeting(&self, meeting: &str, change: impl FnOnce(&mut LiveMeeting)) -> bool {
        self.lock_state().meetings.get_mut(meeting).map(change).is_some()
    }

    /// Removes these meetings (`None` for all) without the call `end`.
    pub fn drop_meetings(&self, ids: Option<&[&str]>) {
        let mut state = self.lock_state();
        match ids {
            None => state.meetings.clear(),
            Some(ids) => {
                for id in ids {
                    state.meetings.remove(id);
                }
            }
        }
    }

    /// Restarts the server: all meetings are lost, all settings are kept.
    pub fn restart(&self) {
        self.drop_meetings(None);
    }

    /// Returns the current state of all meetings, in order of creation.
    #[must_use]
    pub fn meetings(&self) -> Vec<MeetingView> {
        let now_ms = self.now_ms();
        self.lock_state().meetings.iter().map(|meeting| meeting.to_view(now_ms)).collect()
    }

    /// Returns the current state of a meeting.
    #[must_use]
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        let now_ms = self.now_ms();
        self.lock_state().meetings.get(id).map(|meeting| meeting.to_view(now_ms))
    }

    /// Removes and returns the logged requests, oldest first. At most 50,000 are kept.
    #[must_use]
    pub fn take_log(&self) -> Vec<RecordedRequest> {
        self.lock_state().log.take_requests()
    }

    /// Returns the number of requests that `take_log` would return.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.lock_state().log.len()
    }

    /// Sets whether requests are logged, which they are initially.
    pub fn set_logging(&self, enabled: bool) {
        self.lock_state().log.enabled = enabled;
    }

    /// Returns the number of requests by the name of the call, with "index" for the version call. Requests are counted even
    /// if they are not logged.
    #[must_use]
    pub fn call_counts(&self) -> BTreeMap<String, u64> {
        self.lock_state().log.call_counts()
    }

    /// Resets the server to its initial state, except for its port and with this latency.
    pub(crate) fn reset(&self, latency: Latency) {
        let mut state = self.lock_state();
        let generation = state.generation + 1;
        *state = SimState::new(self.0.number, latency);
        state.generation = generation;
        drop(state);
        self.clear_fault();
    }

    /// Stops listening for good.
    pub(crate) fn shut_down(&self) {
        if let Some(listener) = self.0.listener.get() {
            listener.remove();
        }
    }

    /// Logs a request and returns how it is to be handled.
    pub(crate) fn record_request(&self, request: &RecordedRequest) -> RequestTiming {
        let mut state = self.lock_state();
        state.log.record_request(request);
        RequestTiming { delay: state.draw_delay(), generation: state.generation }
    }

    /// Returns a future that completes when the fault next changes.
    pub(crate) fn next_fault_change(&self) -> Notified<'_> {
        self.0.fault_changed.notified()
    }

    /// Lets a request take effect that arrived in this generation, and returns the result. Returns `None` while the server
    /// is frozen.
    pub(crate) fn finish_request(
        &self,
        request: &RecordedRequest,
        generation: u64,
    ) -> Option<RequestResult> {
        let mut state = self.lock_state();
        if state.generation != generation {
            return Some(RequestResult::Fault(FaultMode::Reset));
        }
        let fault = state.fault.as_ref().filter(|fault| fault.affects(request.call_label()));
        Some(match fault.map(|fault| fault.mode.clone()) {
            None => RequestResult::Response(self.call_context(&mut state).handle_request(request)),
            Some(FaultMode::HangAfterEffect) => {
                self.call_context(&mut state).handle_request(request);
                RequestResult::Fault(FaultMode::Hang)
            }
            Some(FaultMode::Freeze) => return None,
            Some(mode) => RequestResult::Fault(mode),
        })
    }

    fn now_ms(&self) -> i64 {
        self.0.context.clock.now_ms()
    }

    fn call_context<'a>(&'a self, state: &'a mut SimState) -> CallContext<'a> {
        CallContext {
            server_number: self.0.number,
            secret: &state.secret,
            version: &state.version,
            algorithms: &state.algorithms,
            meetings: &mut state.meetings,
            sequence: &self.0.context.sequence,
            now_ms: self.now_ms(),
            strictness: self.0.context.strictness,
        }
    }
}

/// Returns the parameters of `create` that correspond to a preloaded meeting.
fn preload_params(id: &str, preload: &Preload) -> Params {
    let standard = [
        ("name", format!("Meeting {id}")),
        ("record", "true".to_owned()),
        ("isBreakout", preload.breakout.to_string()),
    ];
    let standard = standard.into_iter().map(|(name, value)| (name.to_owned(), value));
    let meta = preload.meta.iter().map(|(name, value)| (format!("meta_{name}"), value.clone()));
    Params::from_pairs(standard.chain(meta).collect())
}
