//! Models of how others place meetings, from what their code says about load: made of what a poll
//! of theirs can see, at the pace at which they poll. Whatever they do not poll stays as it was.

use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Scalelite,
    B3lb,
    Bbblb,
    B3scale,
    Pilos,
    LeastUsers,
}

/// A balancer that knows sums per server: of its last poll, and what it adds between polls.
pub(crate) struct PeerModel {
    peer: Peer,
    loads: Vec<f64>,
    /// Meetings of the last poll.
    meetings: Vec<f64>,
}

/// What is polled of a session.
struct PolledSession {
    users: f64,
    mods: f64,
    cams: f64,
    age: f64,
}

impl PeerModel {
    pub(crate) fn new(day: &Day, peer: Peer) -> Self {
        let none = vec![0.0; day.servers.len()];
        Self { peer, loads: none.clone(), meetings: none }
    }

    fn poll_interval(&self) -> Second {
        match self.peer {
            Peer::Scalelite | Peer::Pilos | Peer::LeastUsers => 60,
            Peer::Bbblb => 30,
            Peer::B3lb | Peer::B3scale => 15,
        }
    }

    /// How the weight of a server counts.
    fn server_weight(&self, world: &PoolView<'_>, server: usize) -> f64 {
        let multiplier = world.day.servers[server].load_multiplier;
        match self.peer {
            // Neither has one for a server.
            Peer::B3lb | Peer::Bbblb => 1.0,
            // Strengths are whole numbers from 1 to 10.
            Peer::Pilos => 1.0 / (5.0 / multiplier).round().clamp(1.0, 10.0),
            Peer::Scalelite | Peer::B3scale | Peer::LeastUsers => multiplier,
        }
    }

    fn compute_load(&self, world: &PoolView<'_>, server: usize, seen: &[PolledSession]) -> f64 {
        let users = seen.iter().map(|one| one.users).sum::<f64>();
        let meetings = self.meetings[server];
        let floor =
            |one: &PolledSession, users: f64| if one.age < 900.0 { users.max(15.0) } else { users };
        let load = match self.peer {
            // Moderators are among the participants, and count once more.
            Peer::Scalelite => seen.iter().map(|one| floor(one, one.users + one.mods)).sum(),
            Peer::Pilos => seen.iter().map(|one| floor(one, one.users)).sum(),
            // A server whose comfortable number of users is on it is taken to be at 60% of its
            // processor.
            Peer::B3lb => {
                let comfortable = world.day.comfortable_users;
                let multiplier = world.day.servers[server].load_multiplier;
                let busy = (0.6 * users * multiplier / comfortable).min(1.0);
                let strain: f64 = (1..=5).map(|power| busy.powi(power)).sum();
                users + meetings * 30.0 + strain * 5000.0 / 6.0
            }
            // Half of the users are in the audio conference. Announced sizes do not reach its poller,
            // and for a mistake in units it takes all meetings for new ones, whose reserve stays.
            Peer::Bbblb => {
                let one =
                    |one: &PolledSession| 5.0 + one.users * 1.25 + one.cams * 0.5 + 20.0 * 1.55;
                seen.iter().map(one).sum()
            }
            Peer::B3scale => (meetings * 15.0).max(users),
            Peer::LeastUsers => users,
        };
        load * self.server_weight(world, server)
    }

    /// What a create adds before it is polled.
    fn create_load(&self) -> f64 {
        match self.peer {
            Peer::Scalelite => 1.0,
            Peer::B3lb => 31.0,
            Peer::Bbblb => 36.0,
            Peer::B3scale | Peer::Pilos | Peer::LeastUsers => 0.0,
        }
    }

    /// What a join adds before it is polled.
    fn join_load(&self) -> f64 {
        match self.peer {
            Peer::Scalelite | Peer::Bbblb | Peer::LeastUsers => 1.0,
            Peer::B3lb | Peer::B3scale | Peer::Pilos => 0.0,
        }
    }

    fn poll(&mut self, world: &PoolView<'_>) {
        self.meetings.fill(0.0);
        for server in world.running.iter().filter_map(|session| world.live[*session].server) {
            self.meetings[server] += 1.0;
        }
        self.update_loads(world);
    }

    fn update_loads(&mut self, world: &PoolView<'_>) {
        let mut seen: Vec<Vec<PolledSession>> = self.loads.iter().map(|_| Vec::new()).collect();
        for session in &world.running {
            let (live, planned) = (world.live[*session], &world.day.sessions[*session]);
            if let Some(server) = live.server {
                seen[server].push(PolledSession {
                    users: f64::from(live.users),
                    mods: f64::from(planned.mods.min(live.users)),
                    cams: f64::from(planned.cams.min(live.users)),
                    age: (world.now - live.created_at) as f64,
                });
            }
        }
        let loads =
            seen.iter().enumerate().map(|(server, seen)| self.compute_load(world, server, seen));
        self.loads = loads.collect();
    }

    fn add_load(&mut self, world: &PoolView<'_>, server: usize, users: f64) {
        self.loads[server] += users * self.server_weight(world, server);
    }
}

impl PlacementModel for PeerModel {
    fn choose_server(&mut self, world: &PoolView<'_>, session: usize, _back: Option<u32>) -> usize {
        let open = (0..self.loads.len()).filter(|server| world.is_available[*server]);
        let costs = open.map(|server| (server, self.loads[server]));
        match self.peer {
            // The first by name, always.
            Peer::Scalelite | Peer::Bbblb | Peer::B3scale | Peer::Pilos => {
                costs.min_by(|one, other| one.1.total_cmp(&other.1)).map_or(0, |(server, _)| server)
            }
            Peer::B3lb | Peer::LeastUsers => {
                tie_break::pick_lowest(&world.day.sessions[session].meeting_id, costs)
            }
        }
    }

    fn record_placement(&mut self, world: &PoolView<'_>, _session: usize, server: usize) {
        self.add_load(world, server, self.create_load());
    }

    fn record_join(&mut self, world: &PoolView<'_>, session: usize) {
        if let Some(server) = world.live[session].server {
            if self.peer == Peer::B3scale {
                // Its agents report users as they come and go, meetings every 15 s.
                self.update_loads(world);
            } else {
                self.add_load(world, server, self.join_load());
            }
        }
    }

    fn tick(&mut self, world: &PoolView<'_>) {
        if world.now % self.poll_interval() == 0 {
            self.poll(world);
        }
    }
}
