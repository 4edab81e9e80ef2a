//! Plays a day to a policy, which hears of it only what a balancer would.
//!
//! Creates and joins pass through the balancer. Departures, ends and deaths of servers show in
//! polls. A create that is sent to a server that died unnoticed fails, which makes the death known,
//! and is repeated on another one. Once a death is known, the users of the meetings that died with
//! the server come back within a minute, and their meetings are created anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::day::{Day, Second};

/// Polls are at multiples of this; who polls less often skips some.
pub(crate) const TICK_S: Second = 15;
/// A server's death is known after the next poll of this interval at the latest.
const FAILURE_POLL_S: Second = 60;

/// A create that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) session: usize,
    pub(crate) placed_at: Second,
    pub(crate) server: usize,
}

/// What a poll of all servers sees of a session, and what the balancer remembers of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LiveSession {
    /// Where it runs.
    pub(crate) server: Option<usize>,
    /// When it was created there.
    pub(crate) created_at: Second,
    pub(crate) users: u32,
}

/// The pool as polls see it.
pub(crate) struct PoolView<'a> {
    pub(crate) day: &'a Day,
    pub(crate) now: Second,
    /// By session.
    pub(crate) live: Vec<LiveSession>,
    /// Sessions that run, in order of their creates.
    pub(crate) running: Vec<usize>,
    /// Servers that are not known to be dead.
    pub(crate) is_available: Vec<bool>,
}

/// A policy of placement.
pub(crate) trait PlacementModel {
    /// Chooses among the open servers; there is at least one. `back` is the number of users whom a
    /// meeting had that died with its server, if it did.
    fn choose_server(&mut self, world: &PoolView<'_>, session: usize, back: Option<u32>) -> usize;
    /// A session was created there.
    fn record_placement(&mut self, _world: &PoolView<'_>, _session: usize, _server: usize) {}
    /// A user joins.
    fn record_join(&mut self, _world: &PoolView<'_>, _session: usize) {}
    /// A user has left; only who has agents on the servers hears of it before the next poll.
    fn record_leave(&mut self, _world: &PoolView<'_>, _session: usize) {}
    /// It is time to look whether it is time to poll.
    fn tick(&mut self, _world: &PoolView<'_>) {}
    /// A server is known to be dead, with all that was on it.
    fn record_server_loss(&mut self, _world: &PoolView<'_>, _server: usize) {}
}

/// What happened on a day.
#[derive(Debug, Default)]
pub(crate) struct DayOutcome {
    pub(crate) placements: Vec<Placement>,
    /// Creates that were sent to servers known to be dead; there must be none.
    pub(crate) creates_to_offline: u32,
}

/// In the order in which things of the same second happen.
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

/// Plays a day.
pub(crate) fn simulate_day(day: &Day, policy: &mut dyn PlacementModel) -> DayOutcome {
    let mut stage = DaySimulation::new(day);
    while let Some(Reverse((at, event))) = stage.events.pop() {
        stage.pool.now = at;
        stage.handle_event(event, policy);
    }
    stage.outcome
}

impl<'a> DaySimulation<'a> {
    fn new(day: &'a Day) -> Self {
        let mut events = Vec::new();
        for (place, session) in day.sessions.iter().enumerate() {
            events.push((session.created_at, Event::Create(place)));
            events.push((session.ended_at, Event::End(place)));
            let at = |after: &Second| session.created_at + *after;
            events.extend(session.joins.iter().map(|after| (at(after), Event::Join(place))));
            events.extend(session.leaves.iter().map(|after| (at(after), Event::Leave(place))));
        }
        for outage in &day.outages {
            events.push((outage.down_at, Event::ServerDown(outage.server)));
            events.push((outage.up_at, Event::ServerUp(outage.server)));
        }
        let first = day.sessions.iter().map(|one| one.created_at).min().unwrap_or(0);
        let last = day.sessions.iter().map(|one| one.ended_at).max().unwrap_or(0);
        let ticks = first.div_euclid(TICK_S)..=last.div_euclid(TICK_S);
        events.extend(ticks.map(|tick| (tick * TICK_S, Event::Tick)));
        let live = vec![LiveSession::default(); day.sessions.len()];
        let open = vec![true; day.servers.len()];
        Self {
            pool: PoolView { day, now: 0, live, running: Vec::new(), is_available: open },
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
                self.pool.running.retain(|one| *one != session);
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

    /// A server's death becomes known.
    fn detect_server_loss(&mut self, server: usize, policy: &mut dyn PlacementModel) {
        self.pool.is_available[server] = false;
        policy.record_server_loss(&self.pool, server);
        let on_it = |session: &usize| self.pool.live[*session].server == Some(server);
        let orphans: Vec<usize> = self.pool.running.iter().copied().filter(on_it).collect();
        for (number, session) in orphans.into_iter().enumerate() {
            self.pool.live[session].server = None;
            self.pool.running.retain(|one| *one != session);
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
        let nobody_comes = planned.joins.iter().all(|after| planned.created_at + after <= now);
        if now >= planned.ended_at || (users == 0 && nobody_comes) {
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
        back: Option<u32>,
        policy: &mut dyn PlacementModel,
    ) {
        while self.pool.is_available.contains(&true) {
            let server = policy.choose_server(&self.pool, session, back);
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
        // Nobody can take it: its users try again.
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
