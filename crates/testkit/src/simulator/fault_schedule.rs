//! What goes wrong between replicas and servers, and between replicas and their store: spells of
//! bad weather, each of which hits some of the calls for a while.

use domain::Timestamp;

use crate::seeded_rng::SeededRng;

/// What becomes of one call to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallFault {
    /// The connection is refused.
    Refused,
    /// No answer, and the server did nothing.
    RequestLost,
    /// No answer, but the server acted.
    ResponseLost,
    /// The connection breaks after the server acted.
    ConnectionBroken,
    /// The answer comes so many ms late.
    Slow(u64),
    /// A page of the web server in front of it, which passed nothing on.
    ErrorPage,
    /// The same after the server acted.
    ErrorPageAfterEffect,
    /// Half an answer.
    TruncatedBody,
    /// Status 200 without a body.
    EmptyBody,
}

impl CallFault {
    /// Every kind that a spell may be made of.
    pub(crate) const ALL: [Self; 11] = [
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
    ];

    /// Its name, whatever its measure.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::RequestLost => "silent",
            Self::ResponseLost => "swallowed",
            Self::ConnectionBroken => "broken",
            Self::Slow(_) => "slow",
            Self::ErrorPage => "page",
            Self::ErrorPageAfterEffect => "page-after",
            Self::TruncatedBody => "garbage",
            Self::EmptyBody => "empty",
        }
    }
}

/// Bad weather at one server.
#[derive(Clone, Debug)]
pub(crate) struct FaultPeriod {
    /// Which server.
    pub(crate) host: String,
    /// Only on the way from this replica: a partition.
    pub(crate) replica: Option<usize>,
    /// What happens; one of these each time.
    pub(crate) faults: Vec<CallFault>,
    /// To so many of a hundred calls.
    pub(crate) percent: u64,
    /// Until when.
    pub(crate) until: Timestamp,
}

/// Bad weather at the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreOutage {
    /// Only for this replica.
    pub(crate) replica: Option<usize>,
    /// So many of a hundred operations fail.
    pub(crate) percent: u64,
    /// Until when.
    pub(crate) until: Timestamp,
}

/// What becomes of one operation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// Nothing is done.
    BeforeEffect,
    /// It is done, and the answer is lost.
    AfterEffect,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct FaultSchedule {
    fault_periods: Vec<FaultPeriod>,
    store_outages: Vec<StoreOutage>,
    rng: SeededRng,
    /// Longest way to the store, in ms.
    pub(crate) max_store_latency_ms: u64,
}

impl FaultSchedule {
    /// A clear sky.
    #[must_use]
    pub(crate) fn new(dice: SeededRng, store_ms_max: u64) -> Self {
        Self {
            fault_periods: Vec::new(),
            store_outages: Vec::new(),
            rng: dice,
            max_store_latency_ms: store_ms_max,
        }
    }

    /// A spell begins.
    pub(crate) fn add_fault_period(&mut self, spell: FaultPeriod) {
        self.fault_periods.push(spell);
    }

    /// An outage of the store begins.
    pub(crate) fn add_store_outage(&mut self, outage: StoreOutage) {
        self.store_outages.push(outage);
    }

    /// All is well from now on.
    pub(crate) fn clear(&mut self) {
        self.fault_periods.clear();
        self.store_outages.clear();
    }

    /// What becomes of a call that this replica sends to that server now.
    pub(crate) fn draw_call_fault(
        &mut self,
        replica: usize,
        host: &str,
        now: Timestamp,
    ) -> Option<CallFault> {
        self.fault_periods.retain(|spell| now < spell.until);
        let here = |spell: &&FaultPeriod| {
            spell.host == host && spell.replica.is_none_or(|only| only == replica)
        };
        let spell = self.fault_periods.iter().find(here)?;
        if !self.rng.draw_percent(spell.percent) {
            return None;
        }
        self.rng.pick(&spell.faults).copied()
    }

    /// What becomes of an operation of the store that this replica begins now.
    pub(crate) fn draw_store_fault(
        &mut self,
        replica: usize,
        now: Timestamp,
    ) -> Option<StoreFault> {
        self.store_outages.retain(|outage| now < outage.until);
        let here = |outage: &&StoreOutage| outage.replica.is_none_or(|only| only == replica);
        let outage = self.store_outages.iter().find(here)?;
        if !self.rng.draw_percent(outage.percent) {
            return None;
        }
        Some(if self.rng.draw_percent(50) {
            StoreFault::BeforeEffect
        } else {
            StoreFault::AfterEffect
        })
    }

    /// The way to a server and back, in ms.
    pub(crate) fn draw_latency_ms(&mut self) -> u64 {
        self.rng.draw_u64(1, 40)
    }

    /// The way to the store or back, in ms: mostly none that a clock would show.
    pub(crate) fn draw_store_latency_ms(&mut self) -> u64 {
        if self.rng.draw_percent(70) { 0 } else { self.rng.draw_u64(0, self.max_store_latency_ms) }
    }
}
