//! What a new meeting would cost on each server, once the promised ones that are larger have theirs.

use crate::server::ServerId;
use crate::time::Timestamp;
use crate::timetable::Timetable;

use super::book::Book;
use super::curve::Curve;
use super::forecast::Forecast;
use super::probe::{Pool, Probe};
use super::{Expectation, Newcomer, Source};

/// Costs are told apart to this part of a seat, so that rounding makes no differences.
const GRAIN: f64 = 64.0;

/// What a meeting would cost, wherever it may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotes {
    /// How many users it is expected to draw.
    pub expectation: Expectation,
    /// Its users over the next two hours.
    pub own: Curve,
    /// How many promised meetings were placed before it.
    pub promised: usize,
    /// In the order of the servers' ids.
    pub offers: Vec<Offer>,
}

/// A server that may get the meeting.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Which one.
    pub server: ServerId,
    /// About the load that it will have at its fullest moment with the meeting on it; lower is
    /// better.
    pub cost: f64,
    /// How many times the meeting was counted: more than once where it is unknown and the server
    /// weak.
    pub caution: f64,
    /// Users over the next two hours, without the meeting, with promised ones.
    pub load: Curve,
}

impl Book {
    /// What a new meeting would cost on each server that is open to it.
    pub fn quote(
        &mut self,
        now: Timestamp,
        newcomer: &Newcomer<'_>,
        open: &dyn Fn(&ServerId) -> bool,
        timetable: &Timetable,
    ) -> Quotes {
        self.refresh(now, timetable);
        let expectation = self.expectation(newcomer, timetable);
        let times = self.times(newcomer.key, now, timetable);
        let forecast = Forecast::new(&self.policy, now, times, timetable);
        let own = forecast.curve(0, expectation.seats as f32);
        let promised = self.place_promised(newcomer, expectation.seats);
        let caution = match expectation.source {
            Source::Hint | Source::Learned(_) => 0.0,
            Source::Typical => self.policy.caution,
            Source::Reserve => self.policy.blind_caution,
        };
        let strongest = self.usable().map(|server| self.powers[server]).fold(f32::MAX, f32::min);
        let probe = Probe::new(&self.policy, own);
        let offers = self.usable().filter(|server| open(&self.servers[*server].id)).map(|server| {
            let power = self.powers[server];
            let caution = 1.0 + caution * (1.0 - strongest / power);
            let load = self.scratch[server];
            let cost = f64::from(probe.cost(&load, power, caution));
            let cost = (cost * GRAIN).round() / GRAIN;
            let server = self.servers[server].id.clone();
            Offer { server, cost, caution: f64::from(caution), load }
        });
        Quotes { expectation, own, promised, offers: offers.collect() }
    }

    /// Servers that take meetings.
    fn usable(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|server| !self.closed[*server])
    }

    /// Places the promised meetings that are larger into a copy of the loads; says how many.
    fn place_promised(&mut self, newcomer: &Newcomer<'_>, seats: u32) -> usize {
        self.scratch.clone_from(&self.loads);
        let mut pool = Pool::new(&mut self.scratch, &self.powers, &self.closed);
        let larger = self.promises.iter().take_while(|promise| promise.seats > seats as f32);
        let mut placed = 0;
        for promise in larger.filter(|promise| *promise.key != *newcomer.key) {
            if pool.place(&promise.probe) {
                placed += 1;
            }
        }
        placed
    }
}
