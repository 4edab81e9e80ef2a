//! What goes wrong between replicas and servers, and between replicas and their store: spells of
//! bad weather, each of which hits some of the calls for a while.

use domain::Timestamp;

use super::dice::Dice;

/// What becomes of one call to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The connection is refused.
    Refused,
    /// No answer, and the server did nothing.
    Silent,
    /// No answer, but the server acted.
    Swallowed,
    /// The connection breaks after the server acted.
    Broken,
    /// The answer comes so many ms late.
    Slow(u64),
    /// A page of the web server in front of it, which passed nothing on.
    Page,
    /// The same after the server acted.
    PageAfter,
    /// Half an answer.
    Garbage,
    /// Status 200 without a body.
    Empty,
}

impl Fault {
    /// Every kind that a spell may be made of.
    pub(crate) const ALL: [Self; 11] = [
        Self::Refused,
        Self::Silent,
        Self::Swallowed,
        Self::Broken,
        Self::Slow(900),
        Self::Slow(4_000),
        Self::Slow(12_000),
        Self::Page,
        Self::PageAfter,
        Self::Garbage,
        Self::Empty,
    ];

    /// Its name, whatever its measure.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Swallowed => "swallowed",
            Self::Broken => "broken",
            Self::Slow(_) => "slow",
            Self::Page => "page",
            Self::PageAfter => "page-after",
            Self::Garbage => "garbage",
            Self::Empty => "empty",
        }
    }
}

/// Bad weather at one server.
#[derive(Clone, Debug)]
pub(crate) struct Spell {
    /// Which server.
    pub(crate) host: String,
    /// Only on the way from this replica: a partition.
    pub(crate) replica: Option<usize>,
    /// What happens; one of these each time.
    pub(crate) faults: Vec<Fault>,
    /// To so many of a hundred calls.
    pub(crate) percent: u64,
    /// Until when.
    pub(crate) until: Timestamp,
}

/// Bad weather at the store.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
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
    Before,
    /// It is done, and the answer is lost.
    After,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Weather {
    spells: Vec<Spell>,
    outages: Vec<Outage>,
    dice: Dice,
    /// Longest way to the store, in ms.
    pub(crate) store_ms_max: u64,
}

impl Weather {
    /// A clear sky.
    #[must_use]
    pub(crate) fn new(dice: Dice, store_ms_max: u64) -> Self {
        Self { spells: Vec::new(), outages: Vec::new(), dice, store_ms_max }
    }

    /// A spell begins.
    pub(crate) fn begin(&mut self, spell: Spell) {
        self.spells.push(spell);
    }

    /// An outage of the store begins.
    pub(crate) fn begin_outage(&mut self, outage: Outage) {
        self.outages.push(outage);
    }

    /// All is well from now on.
    pub(crate) fn clear(&mut self) {
        self.spells.clear();
        self.outages.clear();
    }

    /// What becomes of a call that this replica sends to that server now.
    pub(crate) fn strike(&mut self, replica: usize, host: &str, now: Timestamp) -> Option<Fault> {
        self.spells.retain(|spell| now < spell.until);
        let here =
            |spell: &&Spell| spell.host == host && spell.replica.is_none_or(|only| only == replica);
        let spell = self.spells.iter().find(here)?;
        if !self.dice.percent(spell.percent) {
            return None;
        }
        self.dice.pick(&spell.faults).copied()
    }

    /// What becomes of an operation of the store that this replica begins now.
    pub(crate) fn strike_store(&mut self, replica: usize, now: Timestamp) -> Option<StoreFault> {
        self.outages.retain(|outage| now < outage.until);
        let here = |outage: &&Outage| outage.replica.is_none_or(|only| only == replica);
        let outage = self.outages.iter().find(here)?;
        if !self.dice.percent(outage.percent) {
            return None;
        }
        Some(if self.dice.percent(50) { StoreFault::Before } else { StoreFault::After })
    }

    /// The way to a server and back, in ms.
    pub(crate) fn latency_ms(&mut self) -> u64 {
        self.dice.between(1, 40)
    }

    /// The way to the store or back, in ms: mostly none that a clock would show.
    pub(crate) fn store_latency_ms(&mut self) -> u64 {
        if self.dice.percent(70) { 0 } else { self.dice.between(0, self.store_ms_max) }
    }
}
