//! What a new meeting would cost on each server, once the promised ones that are larger have theirs.

use crate::server::ServerId;
use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::load_curve::LoadCurve;
use super::load_forecast::LoadForecast;
use super::meeting_forecast::MeetingForecast;
use super::probe::{LoadProbe, ProbePool};
use super::{ExpectedUsers, ExpectedUsersSource, NewMeeting};

/// Costs are told apart to this part of a seat, so that rounding makes no differences.
const COST_STEPS_PER_USER: f64 = 64.0;

/// What a meeting would cost, wherever it may go.
#[derive(Clone, Debug, PartialEq)]
pub struct CostEstimate {
    /// How many users it is expected to draw.
    pub expected_users: ExpectedUsers,
    /// Its users over the next two hours.
    pub own_load: LoadCurve,
    /// How many promised meetings were placed before it.
    pub upcoming_placed: usize,
    /// In the order of the servers' ids.
    pub candidates: Vec<CandidateServer>,
}

/// A server that may get the meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateServer {
    /// Which one.
    pub server: ServerId,
    /// About the load that it will have at its fullest moment with the meeting on it; lower is
    /// better.
    pub cost: f64,
    /// How many times the meeting was counted: more than once where it is unknown and the server
    /// weak.
    pub caution: f64,
    /// Users over the next two hours, without the meeting, with promised ones.
    pub load: LoadCurve,
}

impl LoadForecast {
    /// What a new meeting would cost on each server that is open to it.
    pub fn estimate_cost(
        &mut self,
        now: Timestamp,
        newcomer: &NewMeeting<'_>,
        open: &dyn Fn(&ServerId) -> bool,
        timetable: &Timetable,
    ) -> CostEstimate {
        self.refresh(now, timetable);
        let expectation = self.expected_users(newcomer, timetable);
        let times = self.meeting_times(newcomer.key, now, timetable);
        let forecast = MeetingForecast::new(&self.policy, now, times, timetable);
        let own = forecast.curve(0, expectation.users as f32);
        let promised = self.place_upcoming_meetings(newcomer, expectation.users);
        let caution = match expectation.source {
            ExpectedUsersSource::Hint | ExpectedUsersSource::Learned(_) => 0.0,
            ExpectedUsersSource::Typical => self.policy.caution,
            ExpectedUsersSource::Reserve => self.policy.no_history_caution,
        };
        let strongest =
            self.open_servers().map(|server| self.multipliers[server]).fold(f32::MAX, f32::min);
        let probe = LoadProbe::new(&self.policy, own);
        let offers =
            self.open_servers().filter(|server| open(&self.servers[*server].id)).map(|server| {
                let power = self.multipliers[server];
                let caution = 1.0 + caution * (1.0 - strongest / power);
                let load = self.scratch_loads[server];
                let cost = f64::from(probe.cost(&load, power, caution));
                let cost = (cost * COST_STEPS_PER_USER).round() / COST_STEPS_PER_USER;
                let server = self.servers[server].id.clone();
                CandidateServer { server, cost, caution: f64::from(caution), load }
            });
        CostEstimate {
            expected_users: expectation,
            own_load: own,
            upcoming_placed: promised,
            candidates: offers.collect(),
        }
    }

    /// Servers that take meetings.
    fn open_servers(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|server| !self.closed[*server])
    }

    /// Places the promised meetings that are larger into a copy of the loads; says how many.
    fn place_upcoming_meetings(&mut self, newcomer: &NewMeeting<'_>, seats: u32) -> usize {
        self.scratch_loads.clone_from(&self.loads);
        let mut pool = ProbePool::new(&mut self.scratch_loads, &self.multipliers, &self.closed);
        let larger = self
            .upcoming_meetings
            .iter()
            .take_while(|promise| promise.expected_users > seats as f32);
        let mut placed = 0;
        for promise in larger.filter(|promise| *promise.key != *newcomer.key) {
            if pool.place_probe(&promise.probe) {
                placed += 1;
            }
        }
        placed
    }
}
