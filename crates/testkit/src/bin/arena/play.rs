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
pub(crate) const TICK: Second = 15;
/// A server's death is known after the next poll of this interval at the latest.
const DEATH_POLL: Second = 60;

/// A create that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) session: usize,
    pub(crate) at: Second,
    pub(crate) server: usize,
}

/// What a poll of all servers sees of a session, and what the balancer remembers of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Live {
    /// Where it runs.
    pub(crate) server: Option<usize>,
    /// When it was created there.
    pub(crate) created: Second,
    pub(crate) users: u32,
}

/// The pool as polls see it.
pub(crate) struct World<'a> {
    pub(crate) day: &'a Day,
    pub(crate) now: Second,
    /// By session.
    pub(crate) live: Vec<Live>,
    /// Sessions that run, in order of their creates.
    pub(crate) running: Vec<usize>,
    /// Servers that are not known to be dead.
    pub(crate) open: Vec<bool>,
}

/// A policy of placement.
pub(crate) trait Policy {
    /// Chooses among the open servers; there is at least one. `back` is the number of users whom a
    /// meeting had that died with its server, if it did.
    fn choose(&mut self, world: &World<'_>, session: usize, back: Option<u32>) -> usize;
    /// A session was created there.
    fn placed(&mut self, _world: &World<'_>, _session: usize, _server: usize) {}
    /// A user joins.
    fn join(&mut self, _world: &World<'_>, _session: usize) {}
    /// A user has left; only who has agents on the servers hears of it before the next poll.
    fn leave(&mut self, _world: &World<'_>, _session: usize) {}
    /// It is time to look whether it is time to poll.
    fn tick(&mut self, _world: &World<'_>) {}
    /// A server is known to be dead, with all that was on it.
    fn lost(&mut self, _world: &World<'_>, _server: usize) {}
}

/// What happened on a day.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) placements: Vec<Placement>,
    /// Creates that were sent to servers known to be dead; there must be none.
    pub(crate) to_the_dead: u32,
}

/// In the order in which things of the same second happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Down(usize),
    Up(usize),
    Leave(usize),
    End(usize),
    Tick,
    Create(usize),
    CreateAgain(usize),
    Join(usize),
}

struct Stage<'a> {
    world: World<'a>,
    events: BinaryHeap<Reverse<(Second, Event)>>,
    down: Vec<bool>,
    outcome: Outcome,
}

/// Plays a day.
pub(crate) fn play(day: &Day, policy: &mut dyn Policy) -> Outcome {
    let mut stage = Stage::new(day);
    while let Some(Reverse((at, event))) = stage.events.pop() {
        stage.world.now = at;
        stage.happen(event, policy);
    }
    stage.outcome
}

impl<'a> Stage<'a> {
    fn new(day: &'a Day) -> Self {
        let mut events = Vec::new();
        for (place, session) in day.sessions.iter().enumerate() {
            events.push((session.create, Event::Create(place)));
            events.push((session.end, Event::End(place)));
            let at = |after: &Second| session.create + *after;
            events.extend(session.joins.iter().map(|after| (at(after), Event::Join(place))));
            events.extend(session.leaves.iter().map(|after| (at(after), Event::Leave(place))));
        }
        for outage in &day.outages {
            events.push((outage.down, Event::Down(outage.server)));
            events.push((outage.up, Event::Up(outage.server)));
        }
        let first = day.sessions.iter().map(|one| one.create).min().unwrap_or(0);
        let last = day.sessions.iter().map(|one| one.end).max().unwrap_or(0);
        let ticks = first.div_euclid(TICK)..=last.div_euclid(TICK);
        events.extend(ticks.map(|tick| (tick * TICK, Event::Tick)));
        let live = vec![Live::default(); day.sessions.len()];
        let open = vec![true; day.servers.len()];
        Self {
            world: World { day, now: 0, live, running: Vec::new(), open },
            events: events.into_iter().map(Reverse).collect(),
            down: vec![false; day.servers.len()],
            outcome: Outcome::default(),
        }
    }

    fn happen(&mut self, event: Event, policy: &mut dyn Policy) {
        match event {
            Event::Down(server) => self.down[server] = true,
            Event::Up(server) => self.down[server] = false,
            Event::Tick => self.tick(policy),
            Event::Create(session) => self.create(session, policy),
            Event::CreateAgain(session) => self.create_again(session, policy),
            Event::Join(session) => {
                self.world.live[session].users += 1;
                if self.world.live[session].server.is_some() {
                    policy.join(&self.world, session);
                }
            }
            Event::Leave(session) => {
                let users = &mut self.world.live[session].users;
                *users = users.saturating_sub(1);
                policy.leave(&self.world, session);
            }
            Event::End(session) => {
                self.world.live[session] = Live::default();
                self.world.running.retain(|one| *one != session);
            }
        }
    }

    fn tick(&mut self, policy: &mut dyn Policy) {
        if self.world.now % DEATH_POLL == 0 {
            for server in 0..self.down.len() {
                if self.down[server] && self.world.open[server] {
                    self.bury(server, policy);
                }
                self.world.open[server] = !self.down[server];
            }
        }
        policy.tick(&self.world);
    }

    /// A server's death becomes known.
    fn bury(&mut self, server: usize, policy: &mut dyn Policy) {
        self.world.open[server] = false;
        policy.lost(&self.world, server);
        let on_it = |session: &usize| self.world.live[*session].server == Some(server);
        let orphans: Vec<usize> = self.world.running.iter().copied().filter(on_it).collect();
        for (number, session) in orphans.into_iter().enumerate() {
            self.world.live[session].server = None;
            self.world.running.retain(|one| *one != session);
            let at = self.world.now + 5 + (number as Second * 7) % 55;
            self.events.push(Reverse((at, Event::CreateAgain(session))));
        }
    }

    fn create(&mut self, session: usize, policy: &mut dyn Policy) {
        if let Some(server) = self.world.day.sessions[session].server {
            self.settle(session, server, policy);
        } else {
            self.place(session, None, policy);
        }
    }

    fn create_again(&mut self, session: usize, policy: &mut dyn Policy) {
        let users = self.world.live[session].users;
        let (now, planned) = (self.world.now, &self.world.day.sessions[session]);
        let nobody_comes = planned.joins.iter().all(|after| planned.create + after <= now);
        if now >= planned.end || (users == 0 && nobody_comes) {
            return;
        }
        self.place(session, Some(users), policy);
        if self.world.live[session].server.is_some() {
            for _ in 0..users {
                policy.join(&self.world, session);
            }
        }
    }

    fn place(&mut self, session: usize, back: Option<u32>, policy: &mut dyn Policy) {
        while self.world.open.contains(&true) {
            let server = policy.choose(&self.world, session, back);
            if !self.world.open[server] {
                self.outcome.to_the_dead += 1;
                break;
            }
            if !self.down[server] {
                let at = self.world.now;
                self.outcome.placements.push(Placement { session, at, server });
                self.settle(session, server, policy);
                return;
            }
            self.bury(server, policy);
        }
        // Nobody can take it: its users try again.
        self.events.push(Reverse((self.world.now + 60, Event::CreateAgain(session))));
    }

    fn settle(&mut self, session: usize, server: usize, policy: &mut dyn Policy) {
        let live = &mut self.world.live[session];
        live.server = Some(server);
        live.created = self.world.now;
        self.world.running.push(session);
        policy.placed(&self.world, session, server);
    }
}
