//! One simulated server: the handle by which tests read its state and its log, and change its meetings.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::calls::CallContext;
use crate::clock::SimClock;
use crate::create;
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
pub struct BbbServer(pub(crate) Arc<ServerInner>);

#[derive(Debug)]
pub(crate) struct ServerInner {
    pub(crate) number: usize,
    pub(crate) context: PoolContext,
    /// The port of the whole pool, if the servers share one. Otherwise this server has a listener of its own.
    shared_port: Option<u16>,
    listener: OnceLock<ServerListener>,
    /// Listeners on further ports; see [`BbbServer::open_alias`].
    pub(crate) aliases: Mutex<Vec<ServerListener>>,
    state: Mutex<SimState>,
    /// Notified when the fault changes; wakes requests that wait on a frozen server.
    pub(crate) fault_changed: Notify,
}

/// What all servers of a pool share.
#[derive(Clone, Debug)]
pub(crate) struct PoolContext {
    pub(crate) clock: SimClock,
    pub(crate) strictness: Strictness,
    /// The next number for generated values.
    pub(crate) sequence: Arc<AtomicU64>,
    /// Runs what the servers do by themselves, also if a test commands them from outside the runtime.
    pub(crate) runtime: Handle,
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
        let _ = server.0.listener.set(server.start_listening()?);
        Ok(server)
    }

    fn new(
        shared_port: Option<u16>,
        number: usize,
        context: PoolContext,
        latency: Latency,
    ) -> Self {
        let state = Mutex::new(SimState::new(number, latency));
        Self(Arc::new(ServerInner {
            number,
            context,
            shared_port,
            listener: OnceLock::new(),
            aliases: Mutex::default(),
            state,
            fault_changed: Notify::new(),
        }))
    }

    /// Starts listening for this server on a free port.
    pub(crate) fn start_listening(&self) -> io::Result<ServerListener> {
        ServerListener::new(self.0.context.runtime.clone(), ServerRoute::Single(self.clone()))
    }

    /// Does this with the listener on the server's own port, if it has one, and with those of its aliases.
    pub(crate) fn for_each_listener(&self, act: impl Fn(&ServerListener)) {
        self.0.listener.get().into_iter().for_each(&act);
        lock(&self.0.aliases).iter().for_each(&act);
    }

    pub(crate) fn lock_state(&self) -> MutexGuard<'_, SimState> {
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
        format!("http://127.0.0.1:{}{}", self.port(), self.path())
    }

    /// Returns the path of the API, without a slash at the end.
    pub(crate) fn path(&self) -> String {
        let prefix = self.0.shared_port.map(|_| format!("/s{}", self.0.number));
        format!("{}/bigbluebutton/api", prefix.unwrap_or_default())
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
        let now_ms = self.now_ms();
        self.change_meeting(meeting, |meeting| {
            let had_users = meeting.attendance(now_ms).users > 0;
            if had_users && users == 0 {
                meeting.left_ms = Some(now_ms);
            }
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

    pub(crate) fn change_meeting(
        &self,
        meeting: &str,
        change: impl FnOnce(&mut LiveMeeting),
    ) -> bool {
        self.lock_state().meetings.get_mut(meeting).map(change).is_some()
    }

    /// Removes these meetings (`None` for all) without the call `end` and without callbacks, as if they had never been.
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

    /// Returns the number of requests by the name of the call, with "index" for the version call. Requests are counted even
    /// if they are not logged.
    #[must_use]
    pub fn call_counts(&self) -> BTreeMap<String, u64> {
        self.lock_state().log.call_counts()
    }

    /// Resets the server to its initial state, except for its ports and with this latency.
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
        self.for_each_listener(ServerListener::remove);
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.0.context.clock.now_ms()
    }

    pub(crate) fn call_context<'a>(&'a self, state: &'a mut SimState) -> CallContext<'a> {
        CallContext {
            server_number: self.0.number,
            secret: &state.secret,
            version: &state.version,
            algorithms: &state.algorithms,
            meetings: &mut state.meetings,
            endings: &mut state.endings,
            unknown_meeting: &state.unknown_meeting,
            created: false,
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
