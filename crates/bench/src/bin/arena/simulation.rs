//! The simulation of a day with a policy, which gets only the information that a balancer gets.
//!
//! Creates and joins pass through the balancer. Leaves, ends of meetings and failures of servers are
//! visible in polls. A create that is sent to a server whose failure is not known yet fails, which
//! makes the failure known, and is repeated on another server. When a failure is known, the users of
//! the lost meetings come back within a minute, and their meetings are created again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::day::{Day, Second};

/// Policies may poll at multiples of this.
pub(crate) const TICK_S: Second = 15;
/// The failure of a server is known at the next multiple of this at the latest.
const FAILURE_POLL_S: Second = 60;

/// A create that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) session: usize,
    pub(crate) placed_at: Second,
    pub(crate) server: usize,
}

/// What a poll of all servers reports of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LiveSession {
    /// The server on which it runs.
    pub(crate) server: Option<usize>,
    /// When it was created on that server.
    pub(crate) created_at: Second,
    pub(crate) users: u32,
}

/// The state of the pool as polls report it.
pub(crate) struct PoolView<'a> {
    pub(crate) day: &'a Day,
    pub(crate) now: Second,
    /// By session.
    pub(crate) live: Vec<LiveSession>,
    /// The running sessions, in order of their creation.
    pub(crate) running: Vec<usize>,
    /// By server: whether it is not known to be down.
    pub(crate) is_available: Vec<bool>,
}

/// A placement policy.
pub(crate) trait PlacementModel {
    /// Chooses one of the available servers; there is at least one. `returning_users` is the number
    /// of users that a lost meeting had, if the session is placed again.
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        session: usize,
        returning_users: Option<u32>,
    ) -> usize;
    /// A session was created on a server.
    fn record_placement(&mut self, _pool: &PoolView<'_>, _session: usize, _server: usize) {}
    /// A user joins.
    fn record_join(&mut self, _pool: &PoolView<'_>, _session: usize) {}
    /// A user has left; only balancers with agents on the servers know that before the next poll.
    fn record_leave(&mut self, _pool: &PoolView<'_>, _session: usize) {}
    /// A multiple of `TICK_S`, at which the policy may poll.
    fn tick(&mut self, _pool: &PoolView<'_>) {}
    /// The failure of a server, and the loss of its meetings, is known.
    fn record_server_loss(&mut self, _pool: &PoolView<'_>, _server: usize) {}
}

/// The result of a day.
#[derive(Debug, Default)]
pub(crate) struct DayOutcome {
    pub(crate) placements: Vec<Placement>,
    /// Number of creates that were sent to servers known to be down; must be 0.
    pub(crate) creates_to_offline: u32,
}

/// An event; events of the same second happen in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    ServerDown(usize),
    ServerUp(usize),
    Leave(usize),
    End(usize),
    Tick,
    Create(usize),
    RepeatCreate(usize),
    Join(usize),
}

struct DaySimulation<'a> {
    pool: PoolView<'a>,
    events: BinaryHeap<Reverse<(Second, Event)>>,
    down: Vec<bool>,
    outcome: DayOutcome,
}

/// Simulates a day.
pub(crate) fn simulate_day(day: &Day, policy: &mut dyn PlacementModel) -> DayOutcome {
    let mut simulation = DaySimulation::new(day);
    while let Some(Reverse((at, event))) = simulation.events.pop() {
        simulation.pool.now = at;
        simulation.handle_event(event, policy);
    }
    simulation.outcome
}

impl<'a> DaySimulation<'a> {
    fn new(day: &'a Day) -> Self {
        let mut events = Vec::new();
        for (index, session) in day.sessions.iter().enumerate() {
            events.push((session.created_at, Event::Create(index)));
            events.push((session.ended_at, Event::End(index)));
            let at = |offset: &Second| session.created_at + *offset;
            events.extend(session.joins.iter().map(|offset| (at(offset), Event::Join(index))));
            events.extend(session.leaves.iter().map(|offset| (at(offset), Event::Leave(index))));
        }
        for outage in &day.outages {
            events.push((outage.down_at, Event::ServerDown(outage.server)));
            events.push((outage.up_at, Event::ServerUp(outage.server)));
        }
        let first = day.sessions.iter().map(|session| session.created_at).min().unwrap_or(0);
        let last = day.sessions.iter().map(|session| session.ended_at).max().unwrap_or(0);
        let ticks = first.div_euclid(TICK_S)..=last.div_euclid(TICK_S);
        events.extend(ticks.map(|tick| (tick * TICK_S, Event::Tick)));
        let live = vec![LiveSession::default(); day.sessions.len()];
        let is_available = vec![true; day.servers.len()];
        Self {
            pool: PoolView { day, now: 0, live, running: Vec::new(), is_available },
            events: events.into_iter().map(Reverse).collect(),
            down: vec![false; day.servers.len()],
            outcome: DayOutcome::default(),
        }
    }

    fn handle_event(&mut self, event: Event, policy: &mut dyn PlacementModel) {
        match event {
            Event::ServerDown(server) => self.down[server] = true,
            Event::ServerUp(server) => self.down[server] = false,
            Event::Tick => self.tick(policy),
            Event::Create(session) => self.create_session(session, policy),
            Event::RepeatCreate(session) => self.recreate_session(session, policy),
            Event::Join(session) => {
                self.pool.live[session].users += 1;
                if self.pool.live[session].server.is_some() {
                    policy.record_join(&self.pool, session);
                }
            }
            Event::Leave(session) => {
                let users = &mut self.pool.live[session].users;
                *users = users.saturating_sub(1);
                policy.record_leave(&self.pool, session);
            }
            Event::End(session) => {
                self.pool.live[session] = LiveSession::default();
                self.pool.running.retain(|running| *running != session);
            }
        }
    }

    fn tick(&mut self, policy: &mut dyn PlacementModel) {
        if self.pool.now % FAILURE_POLL_S == 0 {
            for server in 0..self.down.len() {
                if self.down[server] && self.pool.is_available[server] {
                    self.detect_server_loss(server, policy);
                }
                self.pool.is_available[server] = !self.down[server];
            }
        }
        policy.tick(&self.pool);
    }

    /// Makes the failure of a server known; its meetings are created again within a minute.
    fn detect_server_loss(&mut self, server: usize, policy: &mut dyn PlacementModel) {
        self.pool.is_available[server] = false;
        policy.record_server_loss(&self.pool, server);
        let is_on_server = |session: &usize| self.pool.live[*session].server == Some(server);
        let lost: Vec<usize> = self.pool.running.iter().copied().filter(is_on_server).collect();
        for (number, session) in lost.into_iter().enumerate() {
            self.pool.live[session].server = None;
            self.pool.running.retain(|running| *running != session);
            let at = self.pool.now + 5 + (number as Second * 7) % 55;
            self.events.push(Reverse((at, Event::RepeatCreate(session))));
        }
    }

    fn create_session(&mut self, session: usize, policy: &mut dyn PlacementModel) {
        if let Some(server) = self.pool.day.sessions[session].server {
            self.start_session(session, server, policy);
        } else {
            self.place_session(session, None, policy);
        }
    }

    fn recreate_session(&mut self, session: usize, policy: &mut dyn PlacementModel) {
        let users = self.pool.live[session].users;
        let (now, planned) = (self.pool.now, &self.pool.day.sessions[session]);
        let all_have_joined = planned.joins.iter().all(|after| planned.created_at + after <= now);
        if now >= planned.ended_at || (users == 0 && all_have_joined) {
            return;
        }
        self.place_session(session, Some(users), policy);
        if self.pool.live[session].server.is_some() {
            for _ in 0..users {
                policy.record_join(&self.pool, session);
            }
        }
    }

    fn place_session(
        &mut self,
        session: usize,
        returning_users: Option<u32>,
        policy: &mut dyn PlacementModel,
    ) {
        while self.pool.is_available.contains(&true) {
            let server = policy.choose_server(&self.pool, session, returning_users);
            if !self.pool.is_available[server] {
                self.outcome.creates_to_offline += 1;
                break;
            }
            if !self.down[server] {
                let at = self.pool.now;
                self.outcome.placements.push(Placement { session, placed_at: at, server });
                self.start_session(session, server, policy);
                return;
            }
            self.detect_server_loss(server, policy);
        }
        // No server is available: the users try again after a minute.
        self.events.push(Reverse((self.pool.now + 60, Event::RepeatCreate(session))));
    }

    fn start_session(&mut self, session: usize, server: usize, policy: &mut dyn PlacementModel) {
        let live = &mut self.pool.live[session];
        live.server = Some(server);
        live.created_at = self.pool.now;
        self.pool.running.push(session);
        policy.record_placement(&self.pool, session, server);
    }
}
