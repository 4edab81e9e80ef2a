//! Faults between replicas and servers, and between replicas and the store. A fault lasts for a
//! period of time and hits a share of the calls in it.

use domain::Timestamp;

use super::entries::{is_same_server, is_twin};
use super::odd_answers::OddPart;
use super::server_speed::{CallWork, ServerSpeed};
use crate::seeded_rng::SeededRng;

/// What goes wrong with one call to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallFault {
    /// The connection is refused.
    Refused,
    /// No response, and the server did not execute the call.
    RequestLost,
    /// No response, but the server executed the call.
    ResponseLost,
    /// The connection breaks after the server executed the call.
    ConnectionBroken,
    /// The response comes this many ms late.
    Slow(u64),
    /// The reverse proxy in front of the server answers with an error page and passes nothing on.
    ErrorPage,
    /// The reverse proxy answers with an error page after the server executed the call.
    ErrorPageAfterEffect,
    /// The second half of the response body is missing.
    TruncatedBody,
    /// Status 200 without a body.
    EmptyBody,
    /// The server is well, and its answer has odd parts.
    OddAnswer(OddPart),
}

impl CallFault {
    /// Every kind of fault that a fault period may consist of.
    pub(crate) const ALL: [Self; 13] = [
        Self::Refused,
        Self::RequestLost,
        Self::ResponseLost,
        Self::ConnectionBroken,
        Self::Slow(900),
        Self::Slow(4_000),
        Self::Slow(12_000),
        Self::ErrorPage,
        Self::ErrorPageAfterEffect,
        Self::TruncatedBody,
        Self::EmptyBody,
        Self::OddAnswer(OddPart::CustomData),
        Self::OddAnswer(OddPart::Counts),
    ];
    /// Odd parts of answers by a server that is well.
    pub(crate) const ODD: [Self; 5] = [
        Self::OddAnswer(OddPart::CustomData),
        Self::OddAnswer(OddPart::MeetingId),
        Self::OddAnswer(OddPart::InternalId),
        Self::OddAnswer(OddPart::Counts),
        Self::OddAnswer(OddPart::Times),
    ];

    /// Returns the name under which the fault is counted.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "connections refused",
            Self::RequestLost => "requests lost",
            Self::ResponseLost => "responses lost",
            Self::ConnectionBroken => "connections broken",
            Self::Slow(_) => "slow responses",
            Self::ErrorPage => "error pages",
            Self::ErrorPageAfterEffect => "error pages after effect",
            Self::TruncatedBody => "truncated bodies",
            Self::EmptyBody => "empty bodies",
            Self::OddAnswer(_) => "odd answers",
        }
    }

    /// Returns whether the server is well all the same.
    #[must_use]
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::OddAnswer(_))
    }
}

/// A time during which calls to one server fail.
#[derive(Clone, Debug)]
pub(crate) struct FaultPeriod {
    /// The server; only its second name if that is given.
    pub(crate) host: String,
    /// The only replica that is affected, if the fault is a network partition.
    pub(crate) replica: Option<usize>,
    /// What goes wrong; one of these is drawn for each call.
    pub(crate) faults: Vec<CallFault>,
    /// The share of calls that are affected.
    pub(crate) percent: u64,
    /// The end of the period.
    pub(crate) until: Timestamp,
}

/// A time during which operations of the store fail.
#[derive(Clone, Debug)]
pub(crate) struct StoreOutage {
    /// The only replica that is affected; `None` for all.
    pub(crate) replica: Option<usize>,
    /// The share of operations that fail.
    pub(crate) percent: u64,
    /// The end of the outage.
    pub(crate) until: Timestamp,
}

/// What goes wrong with one operation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// The operation fails without an effect.
    BeforeEffect,
    /// The operation takes effect, and its result is lost.
    AfterEffect,
}

/// All faults of a run.
#[derive(Debug)]
pub(crate) struct FaultSchedule {
    fault_periods: Vec<FaultPeriod>,
    store_outages: Vec<StoreOutage>,
    rng: SeededRng,
    /// Longest latency to the store, one way, in ms.
    pub(crate) max_store_latency_ms: u64,
}

impl FaultSchedule {
    /// A schedule without any fault.
    #[must_use]
    pub(crate) fn new(rng: SeededRng, max_store_latency_ms: u64) -> Self {
        Self { fault_periods: Vec::new(), store_outages: Vec::new(), rng, max_store_latency_ms }
    }

    /// Starts a fault period.
    pub(crate) fn add_fault_period(&mut self, period: FaultPeriod) {
        self.fault_periods.push(period);
    }

    /// Starts an outage of the store.
    pub(crate) fn add_store_outage(&mut self, outage: StoreOutage) {
        self.store_outages.push(outage);
    }

    /// Ends all faults.
    pub(crate) fn clear(&mut self) {
        self.fault_periods.clear();
        self.store_outages.clear();
    }

    /// Draws what goes wrong with a call that this replica sends to that server now.
    pub(crate) fn draw_call_fault(
        &mut self,
        replica: usize,
        host: &str,
        now: Timestamp,
    ) -> Option<CallFault> {
        self.fault_periods.retain(|period| now < period.until);
        let applies = |period: &&FaultPeriod| {
            let is_hit = period.host == host || is_of_both_names(&period.host, host);
            is_hit && period.replica.is_none_or(|affected| affected == replica)
        };
        let period = self.fault_periods.iter().find(applies)?;
        if !self.rng.draw_percent(period.percent) {
            return None;
        }
        self.rng.pick(&period.faults).copied()
    }

    /// Draws what goes wrong with an operation of the store that this replica begins now.
    pub(crate) fn draw_store_fault(
        &mut self,
        replica: usize,
        now: Timestamp,
    ) -> Option<StoreFault> {
        self.store_outages.retain(|outage| now < outage.until);
        let applies =
            |outage: &&StoreOutage| outage.replica.is_none_or(|affected| affected == replica);
        let outage = self.store_outages.iter().find(applies)?;
        if !self.rng.draw_percent(outage.percent) {
            return None;
        }
        Some(if self.rng.draw_percent(50) {
            StoreFault::BeforeEffect
        } else {
            StoreFault::AfterEffect
        })
    }

    /// Draws the work of a server on a call.
    pub(crate) fn draw_work(&mut self, speed: ServerSpeed, call: &str) -> CallWork {
        speed.draw_work(call, &mut self.rng)
    }

    /// Draws the latency of a server, both ways, in ms.
    pub(crate) fn draw_latency_ms(&mut self) -> u64 {
        self.rng.draw_u64(1, 40)
    }

    /// Draws the latency of the store, one way, in ms; mostly less than a millisecond.
    pub(crate) fn draw_store_latency_ms(&mut self) -> u64 {
        if self.rng.draw_percent(70) { 0 } else { self.rng.draw_u64(0, self.max_store_latency_ms) }
    }
}

/// Returns whether a fault of a server that is named by its first name hits a call to this name.
fn is_of_both_names(faulty: &str, host: &str) -> bool {
    !is_twin(faulty) && is_same_server(faulty, host)
}
