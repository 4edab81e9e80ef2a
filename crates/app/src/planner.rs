//! What placement foresees: how many seats a new meeting will take, and what each server will have
//! to give.
//!
//! Each process keeps a book of all meetings. It is made anew from the store every few seconds, and
//! what this process does in between is entered at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::booking::{Book, BookServer, BookingPolicy, Newcomer, Quotes, Running, Source};
use domain::health::Standing;
use domain::placement::{Policy, Price, Prices};
use domain::timetable::{Timetable, TimetableLimits};
use domain::{Meeting, MeetingKey, Server, ServerId, Session, Timestamp};

use crate::context::App;
use crate::ports::{Located, StoreError};
use crate::sessions::{self, HistoryMode};

/// The history is read again after this, for what other replicas have learned, in ms.
const READ_AGAIN_MS: i64 = 10 * 60_000;
/// Changes that are entered again after the book was made anew.
const CHANGES_MAX: usize = 100_000;

/// What is foreseen of a meeting that needs a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Seats that it will bring.
    pub seats: u32,
    /// Where that number comes from.
    pub source: Source,
    /// What the servers will have to give with it, if that is how they are compared.
    pub prices: Option<Arc<Prices>>,
    /// How that was found.
    pub quotes: Quotes,
}

/// What placement foresees.
#[derive(Debug, Default)]
pub struct Planner(Mutex<Option<Plan>>);

#[derive(Debug)]
struct Plan {
    book: Book,
    timetable: Timetable,
    read_at: Timestamp,
    bases: BTreeMap<ServerId, Basis>,
    /// What happened while the book is being made anew.
    changes: Option<Vec<Change>>,
}

/// What the store says of a server, as far as the book knows of it.
#[derive(Clone, Copy, Debug)]
struct Basis {
    load: f64,
    placed: u32,
    /// Load by what is not recorded: meetings of others.
    foreign: f64,
}

#[derive(Clone, Debug)]
enum Change {
    Placed(Running, ServerId, Basis),
    Joined(MeetingKey),
    Ended(MeetingKey),
}

impl Plan {
    fn new(reserve: u32) -> Self {
        let policy = BookingPolicy { reserve, ..BookingPolicy::default() };
        Self {
            book: Book::new(policy),
            timetable: Timetable::new(TimetableLimits::default()),
            read_at: Timestamp(i64::MIN),
            bases: BTreeMap::new(),
            changes: None,
        }
    }

    fn make(&mut self, change: Change) {
        match &change {
            Change::Placed(running, server, basis) => {
                self.book.add(running.clone(), &self.timetable);
                let foreign = self.bases.get(server).map_or(0.0, |before| before.foreign);
                self.bases.insert(server.clone(), Basis { foreign, ..*basis });
            }
            Change::Joined(key) => self.book.join(key),
            Change::Ended(key) => self.book.remove(key),
        }
        if let Some(changes) = self.changes.as_mut().filter(|all| all.len() < CHANGES_MAX) {
            changes.push(change);
        }
    }

    fn prices(&self, quotes: &Quotes) -> Prices {
        let price = |server: &ServerId, cost| {
            let Basis { load, placed, foreign } = *self.bases.get(server)?;
            Some((server.clone(), Price { cost: cost + foreign, basis: load, placed }))
        };
        quotes.offers.iter().filter_map(|offer| price(&offer.server, offer.cost)).collect()
    }
}

impl Planner {
    fn lock(&self) -> MutexGuard<'_, Option<Plan>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a change; nothing if nothing is foreseen in this process.
    fn enter(&self, change: impl FnOnce() -> Change) {
        if let Some(plan) = self.lock().as_mut() {
            plan.make(change());
        }
    }

    /// Works with the plan, which is made if there is none.
    fn with<T>(&self, reserve: u32, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(self.lock().get_or_insert_with(|| Plan::new(reserve)))
    }
}

/// What is foreseen of a new meeting, known by the name of its history.
#[must_use]
pub fn forecast(app: &App, newcomer: &Newcomer<'_>, now: Timestamp) -> Forecast {
    let reserve = app.policy.poll.load.min_user_count;
    app.planner.with(reserve, |plan| {
        let quotes = plan.book.quote(now, newcomer, &|_| true, &plan.timetable);
        let expectation = quotes.expectation;
        let is_booked = app.policy.placement.policy == Policy::Booked;
        let prices = is_booked.then(|| Arc::new(plan.prices(&quotes)));
        let seats = expectation.seats.max(1);
        Forecast { seats, source: expectation.source, prices, quotes }
    })
}

/// Of each server: seats that meetings take which are about to be created, and the most users
/// that are foreseen with them.
#[must_use]
pub fn outlook(app: &App, now: Timestamp) -> BTreeMap<ServerId, (f64, f64)> {
    let nobody = MeetingKey::default();
    // Smaller than any meeting: all that are promised are placed before it.
    let newcomer = Newcomer { key: &nobody, hint: Some(0), users_max: None };
    let reserve = app.policy.poll.load.min_user_count;
    app.planner.with(reserve, |plan| {
        let peak = |points: &[f32]| points.iter().copied().map(f64::from).fold(0.0, f64::max);
        let quotes = plan.book.quote(now, &newcomer, &|_| true, &plan.timetable);
        let of = |offer: &domain::booking::Offer| {
            let with = peak(offer.load.points());
            let without = plan.book.load(&offer.server).map_or(0.0, |load| peak(load.points()));
            (offer.server.clone(), ((with - without).max(0.0), with))
        };
        quotes.offers.iter().map(of).collect()
    })
}

/// A meeting was placed.
pub fn placed(app: &App, located: &Located) {
    let Located { meeting, server } = located;
    let load = server.load.unwrap_or(0.0);
    let basis = Basis { load, placed: server.placed, foreign: 0.0 };
    let running = || running(app, meeting);
    app.planner.enter(|| Change::Placed(running(), server.id.clone(), basis));
}

/// Somebody joins a meeting.
pub fn joined(app: &App, key: &MeetingKey) {
    app.planner.enter(|| Change::Joined(app.policy.known_as(key)));
}

/// A meeting is gone.
pub fn ended(app: &App, key: &MeetingKey) {
    app.planner.enter(|| Change::Ended(app.policy.known_as(key)));
}

/// A session was recorded.
pub(crate) fn learn(app: &App, session: Session) {
    if let Some(plan) = app.planner.lock().as_mut() {
        plan.timetable.learn(session);
    }
}

fn running(app: &App, meeting: &Meeting) -> Running {
    Running {
        key: app.policy.known_as(&meeting.key),
        server: meeting.server.clone(),
        created_at: meeting.placed_at,
        users: meeting.seats.users,
        expected: meeting.seats.reserved,
    }
}

/// Makes the book anew from the store, and reads the history if that is due.
///
/// # Errors
/// When the store fails; what was foreseen stays.
pub async fn refresh(app: &App) -> Result<(), StoreError> {
    let reserve = app.policy.poll.load.min_user_count;
    let now = app.clock.now();
    let read_again = app.planner.with(reserve, |plan| {
        plan.changes = Some(Vec::new());
        now.ms_since(plan.read_at) >= READ_AGAIN_MS
    });
    if read_again && app.policy.history != HistoryMode::Off {
        let known = sessions::all(app).await?;
        app.planner.with(reserve, |plan| {
            let mut timetable = Timetable::new(TimetableLimits::default());
            // They come newest first, and what is learned last counts as the latest.
            known.into_iter().rev().for_each(|session| timetable.learn(session));
            (plan.timetable, plan.read_at) = (timetable, now);
        });
    }
    let servers = app.cluster.servers().await?;
    let meetings = app.cluster.meetings(None).await?;
    let attached = || meetings.iter().filter(|meeting| !meeting.detached);
    let mut recorded: BTreeMap<ServerId, f64> = BTreeMap::new();
    for meeting in attached() {
        let seats = f64::from(meeting.seats.taken(now));
        *recorded.entry(meeting.server.clone()).or_default() += seats;
    }
    let running: Vec<Running> = attached().map(|meeting| running(app, meeting)).collect();
    app.planner.with(reserve, |plan| plan.renew(&servers, running, &recorded, now));
    Ok(())
}

impl Plan {
    /// Replaces what is in the book by facts; what happened since they were read is entered again.
    fn renew(
        &mut self,
        servers: &[Server],
        running: Vec<Running>,
        recorded: &BTreeMap<ServerId, f64>,
        now: Timestamp,
    ) {
        let trusted = servers.iter().filter(|server| {
            server.accepts_meetings() && server.health.standing(now) == Standing::Online
        });
        let open: Vec<BookServer> = trusted
            .clone()
            .map(|one| BookServer { id: one.id.clone(), load_multiplier: one.load_multiplier })
            .collect();
        let basis = |one: &Server| {
            let load = one.load.unwrap_or(0.0);
            let ours = recorded.get(&one.id).copied().unwrap_or(0.0) * one.load_multiplier;
            Basis { load, placed: one.placed, foreign: (load - ours).max(0.0) }
        };
        self.bases = trusted.map(|one| (one.id.clone(), basis(one))).collect();
        self.timetable.forget_before(now.plus_ms(-sessions::KEPT_MS));
        self.book.rebuild(now, &open, running, &self.timetable);
        for change in self.changes.take().unwrap_or_default() {
            self.make(change);
        }
    }
}
