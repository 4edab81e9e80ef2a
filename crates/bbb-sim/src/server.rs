//! The handle on one simulated server: what tests set, see and break.

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
    /// The port of all servers, if they share one; otherwise this server has a door of its own.
    shared_port: Option<u16>,
    listener: OnceLock<ServerListener>,
    state: Mutex<SimState>,
    /// Wakes requests that a frozen server holds.
    fault_changed: Notify,
}

/// What the servers of a pool have in common.
#[derive(Clone, Debug)]
pub(crate) struct PoolContext {
    pub(crate) clock: SimClock,
    pub(crate) strictness: Strictness,
    pub(crate) sequence: Arc<AtomicU64>,
}

/// What becomes of a request that was read.
pub(crate) struct RequestTiming {
    /// How long its answer takes.
    pub(crate) delay: Duration,
    /// The server's life in which it came.
    pub(crate) generation: u64,
}

/// How a request ends.
pub(crate) enum RequestResult {
    /// With this answer.
    Response(SimResponse),
    /// With a fault that strikes instead of an answer.
    Fault(FaultMode),
}

impl BbbServer {
    /// A server behind the pool's one port.
    pub(crate) fn on_shared_port(
        port: u16,
        number: usize,
        shared: PoolContext,
        latency: Latency,
    ) -> Self {
        Self::new(Some(port), number, shared, latency)
    }

    /// A server that listens on a port of its own.
    pub(crate) fn on_own_port(
        number: usize,
        shared: PoolContext,
        latency: Latency,
    ) -> io::Result<Self> {
        let server = Self::new(None, number, shared, latency);
        let door = ServerListener::new(Handle::current(), ServerRoute::Single(server.clone()))?;
        let _ = server.0.listener.set(door);
        Ok(server)
    }

    fn new(shared_port: Option<u16>, number: usize, shared: PoolContext, latency: Latency) -> Self {
        let state = Mutex::new(SimState::new(number, latency));
        let (door, thaw) = (OnceLock::new(), Notify::new());
        Self(Arc::new(ServerInner {
            number,
            context: shared,
            shared_port,
            listener: door,
            state,
            fault_changed: thaw,
        }))
    }

    fn lock_state(&self) -> MutexGuard<'_, SimState> {
        lock(&self.0.state)
    }

    /// Its number in the pool, from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.shared_port.or_else(|| self.0.listener.get().map(ServerListener::port)).unwrap_or(0)
    }

    /// The address of its API, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        let prefix = self.0.shared_port.map(|_| format!("/s{}", self.0.number));
        format!("http://127.0.0.1:{}{}/bigbluebutton/api", self.port(), prefix.unwrap_or_default())
    }

    /// The secret that requests are signed with: `secretN` for server N, unless changed.
    #[must_use]
    pub fn secret(&self) -> String {
        self.lock_state().secret.clone()
    }

    /// Changes the secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.lock_state().secret);
    }

    /// Changes the `bbbVersion` of the version call, "2.7.12" at first.
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.lock_state().version);
    }

    /// Restricts the algorithms of checksums, at first all four.
    pub fn set_algorithms(&self, algorithms: &[Algorithm]) {
        self.lock_state().algorithms = algorithms.to_vec();
    }

    /// Breaks the server, from now on and for requests that have not been answered yet.
    pub fn set_fault(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        let closes = fault.closes_listener();
        self.lock_state().fault = Some(fault);
        self.0.fault_changed.notify_waiters();
        match self.0.listener.get() {
            Some(door) if closes => door.close(),
            Some(door) => door.open(ServerRoute::Single(self.clone())),
            None => {}
        }
    }

    /// Kills the server's software: all meetings and all requests under way are lost, and connecting
    /// fails until the fault is cleared, which starts it again, empty.
    pub fn crash(&self) {
        let mut state = self.lock_state();
        state.generation += 1;
        state.meetings.clear();
        state.fault = Some(FaultMode::Refuse.into());
        drop(state);
        self.set_fault(FaultMode::Refuse);
    }

    /// Mends the server. Requests that hang already hang on.
    pub fn clear_fault(&self) {
        self.lock_state().fault = None;
        self.0.fault_changed.notify_waiters();
        if let Some(door) = self.0.listener.get() {
            door.open(ServerRoute::Single(self.clone()));
        }
    }

    /// Changes how long answers take.
    pub fn set_latency(&self, latency: Latency) {
        self.lock_state().set_latency(self.0.number, latency);
    }

    /// Puts meetings there that nobody created by call.
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

    /// Sets who is in a meeting and ends its schedule. Returns whether the meeting exists.
    pub fn set_users(&self, meeting: &str, users: u32, moderators: u32) -> bool {
        self.change_meeting(meeting, |meeting| {
            meeting.users = users;
            meeting.moderators = moderators;
            meeting.joined = true;
            meeting.schedule = None;
        })
    }

    /// Sets how many cameras are on in a meeting. Returns whether the meeting exists.
    pub fn set_videos(&self, meeting: &str, videos: u32) -> bool {
        self.change_meeting(meeting, |meeting| meeting.videos = videos)
    }

    /// Lets users come and go by the clock, on top of those who join by call; one of them is a
    /// moderator. Returns whether the meeting exists.
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

    /// Takes these meetings away (`None`: all of them) without anyone having ended them.
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

    /// Restarts the server's software: all meetings are lost, all settings stay.
    pub fn restart(&self) {
        self.drop_meetings(None);
    }

    /// The meetings as they are now, in order of creation.
    #[must_use]
    pub fn meetings(&self) -> Vec<MeetingView> {
        let now_ms = self.now_ms();
        self.lock_state().meetings.iter().map(|meeting| meeting.to_view(now_ms)).collect()
    }

    /// One of its meetings as it is now.
    #[must_use]
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        let now_ms = self.now_ms();
        self.lock_state().meetings.get(id).map(|meeting| meeting.to_view(now_ms))
    }

    /// The requests since the last time, oldest first. No more than 50,000 are kept.
    #[must_use]
    pub fn take_log(&self) -> Vec<RecordedRequest> {
        self.lock_state().log.take_requests()
    }

    /// How many requests `take_log` would return.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.lock_state().log.len()
    }

    /// Whether requests are kept; at first they are.
    pub fn set_logging(&self, enabled: bool) {
        self.lock_state().log.enabled = enabled;
    }

    /// Requests by the name of the call, "index" for the version call; counted even if not kept.
    #[must_use]
    pub fn call_counts(&self) -> BTreeMap<String, u64> {
        self.lock_state().log.call_counts()
    }

    /// Makes the server as it was at first, but for its port and its latency.
    pub(crate) fn reset(&self, latency: Latency) {
        let mut state = self.lock_state();
        let life = state.generation + 1;
        *state = SimState::new(self.0.number, latency);
        state.generation = life;
        drop(state);
        self.clear_fault();
    }

    /// Stops listening for good.
    pub(crate) fn shut_down(&self) {
        if let Some(door) = self.0.listener.get() {
            door.remove();
        }
    }

    /// Takes note of a request and says what becomes of it.
    pub(crate) fn record_request(&self, request: &RecordedRequest) -> RequestTiming {
        let mut state = self.lock_state();
        state.log.record_request(request);
        RequestTiming { delay: state.draw_delay(), generation: state.generation }
    }

    /// The next time that it is broken otherwise or mended, from now on.
    pub(crate) fn next_fault_change(&self) -> Notified<'_> {
        self.0.fault_changed.notified()
    }

    /// The effect of a request that came in that life, and how it ends; a frozen server
    /// does not know yet.
    pub(crate) fn finish_request(
        &self,
        request: &RecordedRequest,
        life: u64,
    ) -> Option<RequestResult> {
        let mut state = self.lock_state();
        if state.generation != life {
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

/// The parameters with which a preloaded meeting would have been created.
fn preload_params(id: &str, preload: &Preload) -> Params {
    let fixed = [
        ("name", format!("Meeting {id}")),
        ("record", "true".to_owned()),
        ("isBreakout", preload.breakout.to_string()),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name.to_owned(), value));
    let meta = preload.meta.iter().map(|(name, value)| (format!("meta_{name}"), value.clone()));
    Params::from_pairs(fixed.chain(meta).collect())
}
