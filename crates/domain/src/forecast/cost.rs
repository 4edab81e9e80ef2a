//! Estimates what a new meeting costs on each server, after larger upcoming meetings have been
//! placed.

use crate::server::ServerId;
use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::load_curve::LoadCurve;
use super::load_forecast::LoadForecast;
use super::meeting_forecast::MeetingForecast;
use super::probe::{LoadProbe, ProbePool};
use super::{ExpectedUsers, ExpectedUsersSource, NewMeeting};

/// Costs are rounded to this fraction of a user, so that rounding errors do not decide.
const COST_STEPS_PER_USER: f64 = 64.0;

/// The cost of a new meeting on each server that may get it.
#[derive(Clone, Debug, PartialEq)]
pub struct CostEstimate {
    /// The number of users that it is expected to have.
    pub expected_users: ExpectedUsers,
    /// Its users over the next two hours.
    pub own_load: LoadCurve,
    /// The number of upcoming meetings that were placed before it.
    pub upcoming_placed: usize,
    /// The servers that may get it, in the order of their ids.
    pub candidates: Vec<CandidateServer>,
}

/// A server that may get the meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateServer {
    /// The server.
    pub server: ServerId,
    /// Approximately the highest load that the server will have with the meeting on it; lower is
    /// better.
    pub cost: f64,
    /// The factor by which the users of the meeting were multiplied. It is more than 1 if the size
    /// of the meeting is not known and the server is weaker than others.
    pub caution: f64,
    /// Users over the next two hours: those of running and upcoming meetings, without the new one.
    pub load: LoadCurve,
}

impl LoadForecast {
    /// Estimates the cost of a new meeting on each server for which `is_open` returns true.
    pub fn estimate_cost(
        &mut self,
        now: Timestamp,
        meeting: &NewMeeting<'_>,
        is_open: &dyn Fn(&ServerId) -> bool,
        timetable: &Timetable,
    ) -> CostEstimate {
        self.refresh(now, timetable);
        let expected_users = self.expected_users(meeting, timetable);
        let times = self.meeting_times(meeting.key, now, timetable);
        let forecast = MeetingForecast::new(&self.policy, now, times, timetable);
        let own_load = forecast.curve(0, expected_users.users as f32);
        let upcoming_placed = self.place_upcoming_meetings(meeting, expected_users.users);
        let max_caution = match expected_users.source {
            ExpectedUsersSource::Hint | ExpectedUsersSource::Learned(_) => 0.0,
            ExpectedUsersSource::Typical => self.policy.caution,
            ExpectedUsersSource::Reserve => self.policy.no_history_caution,
        };
        // The strongest server has the lowest multiplier.
        let lowest_multiplier =
            self.open_servers().map(|index| self.multipliers[index]).fold(f32::MAX, f32::min);
        let probe = LoadProbe::new(&self.policy, own_load);
        let candidates =
            self.open_servers().filter(|index| is_open(&self.servers[*index].id)).map(|index| {
                let multiplier = self.multipliers[index];
                let caution = 1.0 + max_caution * (1.0 - lowest_multiplier / multiplier);
                let load = self.scratch_loads[index];
                let cost = f64::from(probe.cost(&load, multiplier, caution));
                let cost = (cost * COST_STEPS_PER_USER).round() / COST_STEPS_PER_USER;
                let server = self.servers[index].id.clone();
                CandidateServer { server, cost, caution: f64::from(caution), load }
            });
        let candidates = candidates.collect();
        CostEstimate { expected_users, own_load, upcoming_placed, candidates }
    }

    /// Iterates over the indexes of the servers that accept meetings.
    fn open_servers(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|index| !self.closed[*index])
    }

    /// Places the upcoming meetings that are larger than `users` into a copy of the loads. Returns
    /// how many were placed.
    fn place_upcoming_meetings(&mut self, meeting: &NewMeeting<'_>, users: u32) -> usize {
        self.scratch_loads.clone_from(&self.loads);
        let mut pool = ProbePool::new(&mut self.scratch_loads, &self.multipliers, &self.closed);
        let larger = self
            .upcoming_meetings
            .iter()
            .take_while(|upcoming| upcoming.expected_users > users as f32);
        let mut placed = 0;
        for upcoming in larger.filter(|upcoming| *upcoming.key != *meeting.key) {
            if pool.place_probe(&upcoming.probe) {
                placed += 1;
            }
        }
        placed
    }
}
