//! The score of placements: how full the fullest server was, relative to how full it had to be.

use crate::day::{Day, Second};
use crate::simulation::Placement;

/// Time between two moments.
const STEP_S: Second = 60;

/// Returns how full the fullest server was on a day, as a multiple of what was unavoidable: the mean
/// over the moments with more than half of the day's peak.
///
/// What is unavoidable is the larger of two values: the fullness if all users were distributed
/// evenly, and the fullness of the strongest server with the largest meeting. After a server has gone
/// down, its meetings are on no server until they are placed again.
pub(crate) fn fullness(day: &Day, placements: &[Placement]) -> f64 {
    let grid = UserGrid::new(day);
    let mut loads = vec![vec![0.0; grid.len]; day.servers.len()];
    for (session, stays) in session_stays(day, placements).into_iter().enumerate() {
        for (server, from, to) in stays {
            let multiplier = day.servers[server].load_multiplier;
            for moment in grid.moments_between(from, to) {
                loads[server][moment] += f64::from(grid.users(session, moment)) * multiplier;
            }
        }
    }
    let peak = grid.total_users.iter().copied().max().unwrap_or(0);
    let (mut sum, mut count) = (0.0, 0.0);
    for moment in (0..grid.len).filter(|moment| grid.total_users[*moment] * 2 > peak) {
        let fullest = loads.iter().map(|load| load[moment]).fold(0.0, f64::max);
        let bound = grid.lower_bound(day, moment);
        if bound > 0.0 {
            sum += fullest / bound;
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 1.0 }
}

/// Returns where each session was: the server, since when, and until when.
fn session_stays(day: &Day, placements: &[Placement]) -> Vec<Vec<(usize, Second, Second)>> {
    let initial = day.sessions.iter().map(|session| (session.created_at, session.server));
    let mut placed: Vec<Vec<(Second, usize)>> = initial
        .map(|(created_at, server)| server.map(|server| (created_at, server)).into_iter().collect())
        .collect();
    for placement in placements {
        placed[placement.session].push((placement.placed_at, placement.server));
    }
    let sessions = day.sessions.iter().zip(&mut placed);
    sessions
        .map(|(session, placed)| {
            placed.sort_unstable();
            let ends = placed.iter().skip(1).map(|(at, _)| *at).chain([session.ended_at]);
            let stays = placed.iter().zip(ends);
            stays
                .map(|((at, server), end)| (*server, *at, end.min(next_outage(day, *server, *at))))
                .collect()
        })
        .collect()
}

/// Returns the beginning of the next outage of a server.
fn next_outage(day: &Day, server: usize, after: Second) -> Second {
    let outages = day.outages.iter();
    let outages = outages.filter(|outage| outage.server == server && outage.up_at > after);
    outages.map(|outage| outage.down_at.max(after)).min().unwrap_or(Second::MAX)
}

/// The users of all sessions at all moments, regardless of servers.
struct UserGrid {
    first: Second,
    len: usize,
    /// By session: its first moment, and its users at that moment and all later ones.
    users: Vec<(usize, Vec<u32>)>,
    total_users: Vec<u32>,
    largest_session: Vec<u32>,
}

impl UserGrid {
    fn new(day: &Day) -> Self {
        let first = day.sessions.iter().map(|session| session.created_at).min().unwrap_or(0);
        let last = day.sessions.iter().map(|session| session.ended_at).max().unwrap_or(0);
        let len = usize::try_from((last - first) / STEP_S + 2).unwrap_or(0);
        let mut grid = Self {
            first,
            len,
            users: Vec::new(),
            total_users: vec![0; len],
            largest_session: vec![0; len],
        };
        for session in &day.sessions {
            let moments = grid.moments_between(session.created_at, session.ended_at);
            let mut changes = crate::attendance::user_changes(session).peekable();
            let mut users = 0;
            let mut users_at = Vec::with_capacity(moments.len());
            for moment in moments.clone() {
                let now = first + moment as Second * STEP_S;
                while let Some((_, next)) = changes.next_if(|(at, _)| *at <= now) {
                    users = next;
                }
                users_at.push(users);
                grid.total_users[moment] += users;
                grid.largest_session[moment] = grid.largest_session[moment].max(users);
            }
            grid.users.push((moments.start, users_at));
        }
        grid
    }

    /// Returns the moments in an interval, its end excluded.
    fn moments_between(&self, from: Second, to: Second) -> std::ops::Range<usize> {
        let moment = |at: Second| {
            let steps = (at - self.first + STEP_S - 1).div_euclid(STEP_S);
            usize::try_from(steps).unwrap_or(0).min(self.len)
        };
        moment(from)..moment(to).max(moment(from))
    }

    fn users(&self, session: usize, moment: usize) -> u32 {
        let (first, users) = &self.users[session];
        moment.checked_sub(*first).and_then(|at| users.get(at)).copied().unwrap_or(0)
    }

    fn lower_bound(&self, day: &Day, moment: usize) -> f64 {
        let now = self.first + moment as Second * STEP_S;
        let up = (0..day.servers.len()).filter(|server| !day.is_down(*server, now));
        let capacities: Vec<f64> =
            up.map(|server| 1.0 / day.servers[server].load_multiplier).collect();
        let all: f64 = capacities.iter().sum();
        let strongest = capacities.into_iter().fold(0.0, f64::max);
        if all <= 0.0 {
            return 0.0;
        }
        (f64::from(self.total_users[moment]) / all)
            .max(f64::from(self.largest_session[moment]) / strongest)
    }
}
