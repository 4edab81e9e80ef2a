//! The book: the meetings of a pool with their forecasts, summed up by server.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::meeting::MeetingKey;
use crate::server::ServerId;
use crate::time::Timestamp;
use crate::timetable::{Promised, Timetable};

use super::curve::Curve;
use super::forecast::{Forecast, Times, bell};
use super::policy::BookingPolicy;
use super::probe::Probe;
use super::{BookServer, Expectation, Newcomer, Running, Source};

/// A meeting that met in four of four weeks is promised for sure.
const PROMISE_WEEKS: f32 = 4.5;

/// The meetings of a pool with their forecasts, summed up by server.
///
/// It is made from facts, by [`Self::rebuild`], and kept up to date by single changes between.
#[derive(Clone, Debug)]
pub struct Book {
    pub(super) policy: BookingPolicy,
    /// Forecasts and sums are of this moment.
    pub(super) now: Timestamp,
    /// In the order of their ids, like the three that follow.
    pub(super) servers: Vec<BookServer>,
    /// How much a user takes up.
    pub(super) powers: Vec<f32>,
    /// Whether it takes meetings.
    pub(super) closed: Vec<bool>,
    /// Users over the next two hours.
    pub(super) loads: Vec<Curve>,
    meetings: BTreeMap<MeetingKey, Entry>,
    /// The largest one first.
    pub(super) promises: Vec<Promise>,
    pub(super) scratch: Vec<Curve>,
}

/// A meeting in the book.
#[derive(Clone, Debug)]
struct Entry {
    /// Its server's place; none if that server takes no meetings.
    server: Option<usize>,
    times: Times,
    users: u32,
    expected: u32,
    forecast: Forecast,
}

impl Entry {
    fn curve(&self) -> Curve {
        self.forecast.curve(self.users, self.expected as f32)
    }
}

/// A meeting that is about to come.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) key: Arc<MeetingKey>,
    pub(super) seats: f32,
    pub(super) probe: Probe,
}

impl Book {
    /// An empty one, without servers.
    #[must_use]
    pub fn new(policy: BookingPolicy) -> Self {
        Self {
            policy,
            now: Timestamp(i64::MIN),
            servers: Vec::new(),
            powers: Vec::new(),
            closed: Vec::new(),
            loads: Vec::new(),
            meetings: BTreeMap::new(),
            promises: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Replaces all that is in it by facts: the servers that take meetings, and all meetings that
    /// run, elsewhere as well.
    pub fn rebuild(
        &mut self,
        now: Timestamp,
        servers: &[BookServer],
        running: impl IntoIterator<Item = Running>,
        timetable: &Timetable,
    ) {
        let mut servers = servers.to_vec();
        servers.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        servers.dedup_by(|one, other| one.id == other.id);
        self.powers = servers.iter().map(|one| power(one.load_multiplier)).collect();
        self.closed = vec![false; servers.len()];
        self.servers = servers;
        self.now = now;
        let entries = running.into_iter().map(|one| self.entry(one, timetable));
        self.meetings = entries.collect();
        self.add_up();
        self.look_ahead(timetable);
    }

    /// A meeting was placed. One of the same name is replaced.
    pub fn add(&mut self, running: Running, timetable: &Timetable) {
        self.remove(&running.key);
        let (key, entry) = self.entry(running, timetable);
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
        }
        self.promises.retain(|promise| *promise.key != key);
        self.meetings.insert(key, entry);
    }

    /// One more user is on the way to a meeting.
    pub fn join(&mut self, key: &MeetingKey) {
        let users = self.meetings.get(key).map_or(0, |entry| entry.users);
        self.users(key, users.saturating_add(1));
    }

    /// A poll counted the users of a meeting.
    pub fn users(&mut self, key: &MeetingKey, users: u32) {
        let Some(entry) = self.meetings.get_mut(key) else { return };
        let before = entry.curve();
        entry.users = users;
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.add(&entry.curve());
            load.subtract(&before);
        }
    }

    /// A meeting has ended.
    pub fn remove(&mut self, key: &MeetingKey) {
        let Some(entry) = self.meetings.remove(key) else { return };
        if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
            load.subtract(&entry.curve());
        }
    }

    /// A server takes no meetings any more, until the book is rebuilt: so that none are promised
    /// to it.
    pub fn close(&mut self, server: &ServerId) {
        if let Ok(place) = self.servers.binary_search_by(|one| one.id.cmp(server)) {
            self.closed[place] = true;
        }
    }

    /// Users of a server over the next two hours, of meetings that run.
    #[must_use]
    pub fn load(&self, server: &ServerId) -> Option<&Curve> {
        let place = self.servers.binary_search_by(|one| one.id.cmp(server)).ok()?;
        self.loads.get(place)
    }

    /// How many meetings are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.meetings.len()
    }

    /// Whether no meeting is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.meetings.is_empty()
    }

    /// How many users a new meeting is expected to draw.
    #[must_use]
    pub fn expectation(&self, newcomer: &Newcomer<'_>, timetable: &Timetable) -> Expectation {
        let (seats, source) = if let Some(hint) = newcomer.hint {
            (hint, Source::Hint)
        } else if let Some(size) = timetable.size(newcomer.key) {
            (size, Source::Learned(timetable.sessions(newcomer.key)))
        } else if let Some(size) = timetable.typical_size() {
            (size.round() as u32, Source::Typical)
        } else {
            (self.policy.reserve, Source::Reserve)
        };
        Expectation { seats: seats.min(newcomer.users_max.unwrap_or(u32::MAX)), source }
    }

    /// Makes forecasts anew when they are old.
    pub(super) fn refresh(&mut self, now: Timestamp, timetable: &Timetable) {
        if now.ms_since(self.now).abs() < self.policy.refresh_ms {
            return;
        }
        self.now = now;
        for entry in self.meetings.values_mut() {
            entry.forecast = Forecast::new(&self.policy, now, entry.times, timetable);
        }
        self.add_up();
        self.look_ahead(timetable);
    }

    /// When a meeting begins and ends that was created then.
    pub(super) fn times(
        &self,
        key: &MeetingKey,
        created_at: Timestamp,
        timetable: &Timetable,
    ) -> Times {
        let bell = bell(&self.policy, created_at, timetable.bell_ms());
        Times { created_at, bell, end: timetable.end(key, created_at), blind: false }
    }

    fn entry(&self, running: Running, timetable: &Timetable) -> (MeetingKey, Entry) {
        let Running { key, server, created_at, users, expected } = running;
        let server = self.servers.binary_search_by(|one| one.id.cmp(&server)).ok();
        let guessed = expected == self.policy.reserve && timetable.typical_size().is_none();
        let mut times = self.times(&key, created_at, timetable);
        times.blind = guessed && times.end.is_none();
        let forecast = Forecast::new(&self.policy, self.now, times, timetable);
        (key, Entry { server, times, users, expected, forecast })
    }

    fn add_up(&mut self) {
        self.loads.clear();
        self.loads.resize(self.servers.len(), Curve::ZERO);
        for entry in self.meetings.values() {
            if let Some(load) = entry.server.and_then(|server| self.loads.get_mut(server)) {
                load.add(&entry.curve());
            }
        }
    }

    /// Finds the meetings that are about to come.
    fn look_ahead(&mut self, timetable: &Timetable) {
        let from = self.now.plus_ms(-self.policy.promise_late_ms);
        let to = self.now.plus_ms(self.policy.promise_ahead_ms);
        let coming = timetable.promised(from, to, self.policy.promise_weeks);
        let coming = coming.into_iter().filter(|one| !self.meetings.contains_key(&*one.key));
        let mut promises: Vec<_> = coming.map(|one| self.promise(one, timetable)).collect();
        promises.sort_by(|one, other| {
            other.seats.total_cmp(&one.seats).then_with(|| one.key.cmp(&other.key))
        });
        self.promises = promises;
    }

    fn promise(&self, promised: Promised, timetable: &Timetable) -> Promise {
        let surely = ((promised.weeks as f32 + 0.5) / PROMISE_WEEKS).min(1.0);
        let seats = promised.size as f32 * surely;
        let bell = bell(&self.policy, promised.at, timetable.bell_ms());
        let times = Times { created_at: promised.at, bell, end: Some(promised.end), blind: false };
        let forecast = Forecast::new(&self.policy, self.now, times, timetable);
        let probe = Probe::new(&self.policy, forecast.curve(0, seats));
        Promise { key: promised.key, seats, probe }
    }
}

/// A multiplier that can be counted with, whatever was configured.
fn power(load_multiplier: f64) -> f32 {
    let finite = if load_multiplier.is_finite() { load_multiplier } else { 1.0 };
    finite.clamp(1e-3, 1e6) as f32
}
