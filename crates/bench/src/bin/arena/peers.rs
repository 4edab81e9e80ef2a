//! Models of other balancers' placement, after the load computation in their code. A model uses only
//! what a poll of that balancer reports, at that balancer's poll interval; between polls its data
//! stays unchanged, apart from what the balancer adds itself.

use crate::day::{Day, Second};
use crate::simulation::{PlacementModel, PoolView};
use crate::tie_break;

/// The balancer, or the rule, that is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Scalelite,
    B3lb,
    Bbblb,
    B3scale,
    Pilos,
    LeastUsers,
}

/// A balancer that knows the load of each server: from its last poll, plus what it adds between
/// polls.
pub(crate) struct PeerModel {
    peer: Peer,
    /// By server.
    loads: Vec<f64>,
    /// By server: the number of meetings at the last poll.
    meetings: Vec<f64>,
}

/// What a poll reports of a session.
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

    /// Returns the factor by which the load of a server is multiplied.
    fn server_weight(&self, pool: &PoolView<'_>, server: usize) -> f64 {
        let multiplier = pool.day.servers[server].load_multiplier;
        match self.peer {
            // These have no weights of servers.
            Peer::B3lb | Peer::Bbblb => 1.0,
            // Strengths of servers are integers from 1 to 10.
            Peer::Pilos => 1.0 / (5.0 / multiplier).round().clamp(1.0, 10.0),
            Peer::Scalelite | Peer::B3scale | Peer::LeastUsers => multiplier,
        }
    }

    fn compute_load(&self, pool: &PoolView<'_>, server: usize, polled: &[PolledSession]) -> f64 {
        let users = polled.iter().map(|session| session.users).sum::<f64>();
        let meetings = self.meetings[server];
        let at_least_15_if_young = |session: &PolledSession, users: f64| {
            if session.age < 900.0 { users.max(15.0) } else { users }
        };
        let load = match self.peer {
            // Moderators are participants, and are counted a second time.
            Peer::Scalelite => {
                let load = |it: &PolledSession| at_least_15_if_young(it, it.users + it.mods);
                polled.iter().map(load).sum()
            }
            Peer::Pilos => polled.iter().map(|it| at_least_15_if_young(it, it.users)).sum(),
            // Assumes that a server with its comfortable number of users has 60% processor load.
            Peer::B3lb => {
                let comfortable = pool.day.comfortable_users;
                let multiplier = pool.day.servers[server].load_multiplier;
                let busy = (0.6 * users * multiplier / comfortable).min(1.0);
                let strain: f64 = (1..=5).map(|power| busy.powi(power)).sum();
                users + meetings * 30.0 + strain * 5000.0 / 6.0
            }
            // Assumes that half of the users are in the audio conference. Announced sizes do not reach
            // its poller, and because of a mistake in units it takes all meetings for new ones, so
            // that their reserve stays.
            Peer::Bbblb => {
                let load = |it: &PolledSession| 5.0 + it.users * 1.25 + it.cams * 0.5 + 20.0 * 1.55;
                polled.iter().map(load).sum()
            }
            Peer::B3scale => (meetings * 15.0).max(users),
            Peer::LeastUsers => users,
        };
        load * self.server_weight(pool, server)
    }

    /// Returns the load that a create adds until the next poll.
    fn create_load(&self) -> f64 {
        match self.peer {
            Peer::Scalelite => 1.0,
            Peer::B3lb => 31.0,
            Peer::Bbblb => 36.0,
            Peer::B3scale | Peer::Pilos | Peer::LeastUsers => 0.0,
        }
    }

    /// Returns the load that a join adds until the next poll.
    fn join_load(&self) -> f64 {
        match self.peer {
            Peer::Scalelite | Peer::Bbblb | Peer::LeastUsers => 1.0,
            Peer::B3lb | Peer::B3scale | Peer::Pilos => 0.0,
        }
    }

    fn poll(&mut self, pool: &PoolView<'_>) {
        self.meetings.fill(0.0);
        for server in pool.running.iter().filter_map(|session| pool.live[*session].server) {
            self.meetings[server] += 1.0;
        }
        self.update_loads(pool);
    }

    fn update_loads(&mut self, pool: &PoolView<'_>) {
        let mut polled: Vec<Vec<PolledSession>> = self.loads.iter().map(|_| Vec::new()).collect();
        for session in &pool.running {
            let (live, planned) = (pool.live[*session], &pool.day.sessions[*session]);
            if let Some(server) = live.server {
                polled[server].push(PolledSession {
                    users: f64::from(live.users),
                    mods: f64::from(planned.mods.min(live.users)),
                    cams: f64::from(planned.cams.min(live.users)),
                    age: (pool.now - live.created_at) as f64,
                });
            }
        }
        let polled = polled.iter().enumerate();
        let loads = polled.map(|(server, sessions)| self.compute_load(pool, server, sessions));
        self.loads = loads.collect();
    }

    fn add_load(&mut self, pool: &PoolView<'_>, server: usize, users: f64) {
        self.loads[server] += users * self.server_weight(pool, server);
    }
}

impl PlacementModel for PeerModel {
    fn choose_server(
        &mut self,
        pool: &PoolView<'_>,
        session: usize,
        _returning_users: Option<u32>,
    ) -> usize {
        let available = (0..self.loads.len()).filter(|server| pool.is_available[*server]);
        let costs = available.map(|server| (server, self.loads[server]));
        match self.peer {
            // Among equal servers always the first by name.
            Peer::Scalelite | Peer::Bbblb | Peer::B3scale | Peer::Pilos => {
                costs.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(server, _)| server)
            }
            Peer::B3lb | Peer::LeastUsers => {
                tie_break::pick_lowest(&pool.day.sessions[session].meeting_id, costs)
            }
        }
    }

    fn record_placement(&mut self, pool: &PoolView<'_>, _session: usize, server: usize) {
        self.add_load(pool, server, self.create_load());
    }

    fn record_join(&mut self, pool: &PoolView<'_>, session: usize) {
        if let Some(server) = pool.live[session].server {
            if self.peer == Peer::B3scale {
                // Its agents report joining and leaving users at once, and meetings every 15 s.
                self.update_loads(pool);
            } else {
                self.add_load(pool, server, self.join_load());
            }
        }
    }

    fn tick(&mut self, pool: &PoolView<'_>) {
        if pool.now % self.poll_interval() == 0 {
            self.poll(pool);
        }
    }
}
