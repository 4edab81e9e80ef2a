//! The handle on one simulated server: what tests set, see and break.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::calls::{Answer, Desk};
use crate::checksum::Algorithm;
use crate::clock::Clock;
use crate::create;
use crate::door::Door;
use crate::fault::{Fault, FaultMode};
use crate::http::Route;
use crate::latency::Latency;
use crate::life::Schedule;
use crate::log::Request;
use crate::meeting::Meeting;
use crate::options::{MeetingView, Preload, Strictness};
use crate::params::Params;
use crate::state::State;
use crate::sync::lock;

/// A handle on one simulated server. Clones are handles on the same server.
#[derive(Clone, Debug)]
pub struct Server(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    number: usize,
    shared: Shared,
    /// The port of all servers, if they share one; otherwise this server has a door of its own.
    shared_port: Option<u16>,
    door: OnceLock<Door>,
    state: Mutex<State>,
    /// Wakes requests that a frozen server holds.
    thaw: Notify,
}

/// What the servers of a pool have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) strictness: Strictness,
    pub(crate) sequence: Arc<AtomicU64>,
}

/// What becomes of a request that was read.
pub(crate) struct Receipt {
    /// How long its answer takes.
    pub(crate) delay: Duration,
    /// The server's life in which it came.
    pub(crate) life: u64,
}

/// How a request ends.
pub(crate) enum Ending {
    /// With this answer.
    Answer(Answer),
    /// With a fault that strikes instead of an answer.
    Fault(FaultMode),
}

impl Server {
    /// A server behind the pool's one port.
    pub(crate) fn behind(port: u16, number: usize, shared: Shared, latency: Latency) -> Self {
        Self::new(Some(port), number, shared, latency)
    }

    /// A server that listens on a port of its own.
    pub(crate) fn listening(number: usize, shared: Shared, latency: Latency) -> io::Result<Self> {
        let server = Self::new(None, number, shared, latency);
        let door = Door::new(Handle::current(), Route::One(server.clone()))?;
        let _ = server.0.door.set(door);
        Ok(server)
    }

    fn new(shared_port: Option<u16>, number: usize, shared: Shared, latency: Latency) -> Self {
        let state = Mutex::new(State::new(number, latency));
        let (door, thaw) = (OnceLock::new(), Notify::new());
        Self(Arc::new(Inner { number, shared, shared_port, door, state, thaw }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
        self.0.shared_port.or_else(|| self.0.door.get().map(Door::port)).unwrap_or(0)
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
        self.state().secret.clone()
    }

    /// Changes the secret.
    pub fn set_secret(&self, secret: &str) {
        secret.clone_into(&mut self.state().secret);
    }

    /// Changes the `bbbVersion` of the version call, "2.7.12" at first.
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.state().version);
    }

    /// Restricts the algorithms of checksums, at first all four.
    pub fn set_algorithms(&self, algorithms: &[Algorithm]) {
        self.state().algorithms = algorithms.to_vec();
    }

    /// Breaks the server, from now on and for requests that have not been answered yet.
    pub fn set_fault(&self, fault: impl Into<Fault>) {
        let fault = fault.into();
        let closes = fault.closes();
        self.state().fault = Some(fault);
        self.0.thaw.notify_waiters();
        match self.0.door.get() {
            Some(door) if closes => door.close(),
            Some(door) => door.open(Route::One(self.clone())),
            None => {}
        }
    }

    /// Kills the server's software: all meetings and all requests under way are lost, and connecting
    /// fails until the fault is cleared, which starts it again, empty.
    pub fn crash(&self) {
        let mut state = self.state();
        state.life += 1;
        state.meetings.clear();
        state.fault = Some(FaultMode::Refuse.into());
        drop(state);
        self.set_fault(FaultMode::Refuse);
    }

    /// Mends the server. Requests that hang already hang on.
    pub fn clear_fault(&self) {
        self.state().fault = None;
        self.0.thaw.notify_waiters();
        if let Some(door) = self.0.door.get() {
            door.open(Route::One(self.clone()));
        }
    }

    /// Changes how long answers take.
    pub fn set_latency(&self, latency: Latency) {
        self.state().set_latency(self.0.number, latency);
    }

    /// Puts meetings there that nobody created by call.
    pub fn preload(&self, preload: Preload) {
        let created_ms = self.now_ms() - i64::try_from(preload.age_s).unwrap_or(0) * 1_000;
        let mut state = self.state();
        for id in &preload.ids {
            let params = preload_params(id, &preload);
            let meeting = create::new_meeting(&self.desk(&mut state), id, &params, created_ms);
            state.meetings.insert(Meeting {
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
        self.change(meeting, |meeting| {
            meeting.users = users;
            meeting.moderators = moderators;
            meeting.joined = true;
            meeting.schedule = None;
        })
    }

    /// Sets how many cameras are on in a meeting. Returns whether the meeting exists.
    pub fn set_videos(&self, meeting: &str, videos: u32) -> bool {
        self.change(meeting, |meeting| meeting.videos = videos)
    }

    /// Lets users come and go by the clock, on top of those who join by call; one of them is a
    /// moderator. Returns whether the meeting exists.
    pub fn set_schedule(&self, meeting: &str, schedule: Schedule) -> bool {
        let schedule = schedule.sorted();
        self.change(meeting, |meeting| {
            meeting.moderators = meeting.moderators.max(1);
            meeting.schedule = Some(schedule);
        })
    }

    fn change(&self, meeting: &str, change: impl FnOnce(&mut Meeting)) -> bool {
        self.state().meetings.get_mut(meeting).map(change).is_some()
    }

    /// Takes these meetings away (`None`: all of them) without anyone having ended them.
    pub fn drop_meetings(&self, ids: Option<&[&str]>) {
        let mut state = self.state();
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
        self.state().meetings.iter().map(|meeting| meeting.view(now_ms)).collect()
    }

    /// One of its meetings as it is now.
    #[must_use]
    pub fn meeting(&self, id: &str) -> Option<MeetingView> {
        let now_ms = self.now_ms();
        self.state().meetings.get(id).map(|meeting| meeting.view(now_ms))
    }

    /// The requests since the last time, oldest first. No more than 50,000 are kept.
    #[must_use]
    pub fn take_log(&self) -> Vec<Request> {
        self.state().log.take()
    }

    /// How many requests `take_log` would return.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.state().log.len()
    }

    /// Whether requests are kept; at first they are.
    pub fn set_logging(&self, enabled: bool) {
        self.state().log.enabled = enabled;
    }

    /// Requests by the name of the call, "index" for the version call; counted even if not kept.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().log.counts()
    }

    /// Makes the server as it was at first, but for its port and its latency.
    pub(crate) fn reset(&self, latency: Latency) {
        let mut state = self.state();
        let life = state.life + 1;
        *state = State::new(self.0.number, latency);
        state.life = life;
        drop(state);
        self.clear_fault();
    }

    /// Stops listening for good.
    pub(crate) fn shut_down(&self) {
        if let Some(door) = self.0.door.get() {
            door.remove();
        }
    }

    /// Takes note of a request and says what becomes of it.
    pub(crate) fn receive(&self, request: &Request) -> Receipt {
        let mut state = self.state();
        state.log.note(request);
        Receipt { delay: state.delay(), life: state.life }
    }

    /// The next time that it is broken otherwise or mended, from now on.
    pub(crate) fn thawed(&self) -> Notified<'_> {
        self.0.thaw.notified()
    }

    /// The effect of a request that came in that life, and how it ends; a frozen server
    /// does not know yet.
    pub(crate) fn reply(&self, request: &Request, life: u64) -> Option<Ending> {
        let mut state = self.state();
        if state.life != life {
            return Some(Ending::Fault(FaultMode::Reset));
        }
        let fault = state.fault.as_ref().filter(|fault| fault.strikes(request.label()));
        Some(match fault.map(|fault| fault.mode.clone()) {
            None => Ending::Answer(self.desk(&mut state).answer(request)),
            Some(FaultMode::HangAfterEffect) => {
                self.desk(&mut state).answer(request);
                Ending::Fault(FaultMode::Hang)
            }
            Some(FaultMode::Freeze) => return None,
            Some(mode) => Ending::Fault(mode),
        })
    }

    fn now_ms(&self) -> i64 {
        self.0.shared.clock.now_ms()
    }

    fn desk<'a>(&'a self, state: &'a mut State) -> Desk<'a> {
        Desk {
            number: self.0.number,
            secret: &state.secret,
            version: &state.version,
            algorithms: &state.algorithms,
            meetings: &mut state.meetings,
            sequence: &self.0.shared.sequence,
            now_ms: self.now_ms(),
            rules: self.0.shared.strictness,
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
    Params::made_up(fixed.chain(meta).collect())
}
