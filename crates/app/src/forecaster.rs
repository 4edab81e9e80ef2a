//! What placement foresees: how many seats a new meeting will take, and what each server will have
//! to give.
//!
//! Each process keeps a book of all meetings. It is made anew from the store every few seconds, and
//! what this process does in between is entered at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::forecast::{
    CostEstimate, ExpectedUsersSource, ForecastPolicy, ForecastServer, LoadForecast, NewMeeting,
    RunningMeeting,
};
use domain::health::HealthState;
use domain::placement::{PlacementCost, PlacementCosts, PlacementPolicy};
use domain::timetable::{Timetable, TimetableLimits};
use domain::{Meeting, MeetingKey, MeetingSession, Server, ServerId, Timestamp};

use crate::context::App;
use crate::ports::{MeetingOnServer, StoreError};
use crate::sessions::{self, HistoryMode};

/// The history is read again after this, for what other replicas have learned, in ms.
const HISTORY_REFRESH_MS: i64 = 10 * 60_000;
/// Changes that are entered again after the book was made anew.
const MAX_CHANGES: usize = 100_000;

/// What is foreseen of a meeting that needs a place.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMeetingForecast {
    /// Seats that it will bring.
    pub expected_users: u32,
    /// Where that number comes from.
    pub source: ExpectedUsersSource,
    /// What the servers will have to give with it, if that is how they are compared.
    pub costs: Option<Arc<PlacementCosts>>,
    /// How that was found.
    pub estimate: CostEstimate,
}

/// What placement foresees.
#[derive(Debug, Default)]
pub struct Forecaster(Mutex<Option<ForecastState>>);

#[derive(Debug)]
struct ForecastState {
    load_forecast: LoadForecast,
    timetable: Timetable,
    history_read_at: Timestamp,
    snapshots: BTreeMap<ServerId, ServerSnapshot>,
    /// What happened while the book is being made anew.
    changes: Option<Vec<ForecastChange>>,
}

/// What the store says of a server, as far as the book knows of it.
#[derive(Clone, Copy, Debug)]
struct ServerSnapshot {
    load: f64,
    placed_since_poll: u32,
    /// Load by what is not recorded: meetings of others.
    foreign_load: f64,
}

#[derive(Clone, Debug)]
enum ForecastChange {
    Placed(RunningMeeting, ServerId, ServerSnapshot),
    Joined(MeetingKey),
    Ended(MeetingKey),
}

impl ForecastState {
    fn new(reserve: u32) -> Self {
        let policy = ForecastPolicy { default_users: reserve, ..ForecastPolicy::default() };
        Self {
            load_forecast: LoadForecast::new(policy),
            timetable: Timetable::new(TimetableLimits::default()),
            history_read_at: Timestamp(i64::MIN),
            snapshots: BTreeMap::new(),
            changes: None,
        }
    }

    fn apply_change(&mut self, change: ForecastChange) {
        match &change {
            ForecastChange::Placed(running, server, basis) => {
                self.load_forecast.add_meeting(running.clone(), &self.timetable);
                let foreign = self.snapshots.get(server).map_or(0.0, |before| before.foreign_load);
                self.snapshots
                    .insert(server.clone(), ServerSnapshot { foreign_load: foreign, ..*basis });
            }
            ForecastChange::Joined(key) => self.load_forecast.record_join(key),
            ForecastChange::Ended(key) => self.load_forecast.remove_meeting(key),
        }
        if let Some(changes) = self.changes.as_mut().filter(|all| all.len() < MAX_CHANGES) {
            changes.push(change);
        }
    }

    fn placement_costs(&self, quotes: &CostEstimate) -> PlacementCosts {
        let price = |server: &ServerId, cost| {
            let ServerSnapshot { load, placed_since_poll: placed, foreign_load: foreign } =
                *self.snapshots.get(server)?;
            Some((
                server.clone(),
                PlacementCost { cost: cost + foreign, basis_load: load, placed_since_poll: placed },
            ))
        };
        quotes.candidates.iter().filter_map(|offer| price(&offer.server, offer.cost)).collect()
    }
}

impl Forecaster {
    fn lock(&self) -> MutexGuard<'_, Option<ForecastState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a change; nothing if nothing is foreseen in this process.
    fn record_change(&self, change: impl FnOnce() -> ForecastChange) {
        if let Some(plan) = self.lock().as_mut() {
            plan.apply_change(change());
        }
    }

    /// Works with the plan, which is made if there is none.
    fn with_state<T>(&self, reserve: u32, work: impl FnOnce(&mut ForecastState) -> T) -> T {
        work(self.lock().get_or_insert_with(|| ForecastState::new(reserve)))
    }
}

/// What is foreseen of a new meeting, known by the name of its history.
#[must_use]
pub fn forecast_new_meeting(
    app: &App,
    newcomer: &NewMeeting<'_>,
    now: Timestamp,
) -> NewMeetingForecast {
    let reserve = app.policy.poll.load.min_user_count;
    app.forecaster.with_state(reserve, |plan| {
        let quotes = plan.load_forecast.estimate_cost(now, newcomer, &|_| true, &plan.timetable);
        let expectation = quotes.expected_users;
        let is_booked = app.policy.placement.policy == PlacementPolicy::Forecast;
        let prices = is_booked.then(|| Arc::new(plan.placement_costs(&quotes)));
        let seats = expectation.users.max(1);
        NewMeetingForecast {
            expected_users: seats,
            source: expectation.source,
            costs: prices,
            estimate: quotes,
        }
    })
}

/// Of each server: seats that meetings take which are about to be created, and the most users
/// that are foreseen with them.
#[must_use]
pub fn forecast_server_users(app: &App, now: Timestamp) -> BTreeMap<ServerId, (f64, f64)> {
    let nobody = MeetingKey::default();
    // Smaller than any meeting: all that are promised are placed before it.
    let newcomer = NewMeeting { key: &nobody, size_hint: Some(0), max_users: None };
    let reserve = app.policy.poll.load.min_user_count;
    app.forecaster.with_state(reserve, |plan| {
        let peak = |points: &[f32]| points.iter().copied().map(f64::from).fold(0.0, f64::max);
        let quotes = plan.load_forecast.estimate_cost(now, &newcomer, &|_| true, &plan.timetable);
        let of = |offer: &domain::forecast::CandidateServer| {
            let with = peak(offer.load.points());
            let without =
                plan.load_forecast.load(&offer.server).map_or(0.0, |load| peak(load.points()));
            (offer.server.clone(), ((with - without).max(0.0), with))
        };
        quotes.candidates.iter().map(of).collect()
    })
}

/// A meeting was placed.
pub fn record_placement(app: &App, located: &MeetingOnServer) {
    let MeetingOnServer { meeting, server } = located;
    let load = server.load.unwrap_or(0.0);
    let basis =
        ServerSnapshot { load, placed_since_poll: server.placed_since_poll, foreign_load: 0.0 };
    let running = || running_meeting(app, meeting);
    app.forecaster.record_change(|| ForecastChange::Placed(running(), server.id.clone(), basis));
}

/// Somebody joins a meeting.
pub fn record_join(app: &App, key: &MeetingKey) {
    app.forecaster.record_change(|| ForecastChange::Joined(app.policy.history_key(key)));
}

/// A meeting is gone.
pub fn record_end(app: &App, key: &MeetingKey) {
    app.forecaster.record_change(|| ForecastChange::Ended(app.policy.history_key(key)));
}

/// A session was recorded.
pub(crate) fn learn_session(app: &App, session: MeetingSession) {
    if let Some(plan) = app.forecaster.lock().as_mut() {
        plan.timetable.learn(session);
    }
}

fn running_meeting(app: &App, meeting: &Meeting) -> RunningMeeting {
    RunningMeeting {
        key: app.policy.history_key(&meeting.key),
        server: meeting.server.clone(),
        created_at: meeting.placed_at,
        users: meeting.load.users,
        expected_users: meeting.load.expected_users,
    }
}

/// Makes the book anew from the store, and reads the history if that is due.
///
/// # Errors
/// When the store fails; what was foreseen stays.
pub async fn refresh(app: &App) -> Result<(), StoreError> {
    let reserve = app.policy.poll.load.min_user_count;
    let now = app.clock.now();
    let read_again = app.forecaster.with_state(reserve, |plan| {
        plan.changes = Some(Vec::new());
        now.ms_since(plan.history_read_at) >= HISTORY_REFRESH_MS
    });
    if read_again && app.policy.history != HistoryMode::Off {
        let known = sessions::list_sessions(app).await?;
        app.forecaster.with_state(reserve, |plan| {
            let mut timetable = Timetable::new(TimetableLimits::default());
            // They come newest first, and what is learned last counts as the latest.
            known.into_iter().rev().for_each(|session| timetable.learn(session));
            (plan.timetable, plan.history_read_at) = (timetable, now);
        });
    }
    let servers = app.pool.list_servers().await?;
    let meetings = app.pool.list_meetings(None).await?;
    let attached = || meetings.iter().filter(|meeting| !meeting.detached);
    let mut recorded: BTreeMap<ServerId, f64> = BTreeMap::new();
    for meeting in attached() {
        let seats = f64::from(meeting.load.counted_users(now));
        *recorded.entry(meeting.server.clone()).or_default() += seats;
    }
    let running: Vec<RunningMeeting> =
        attached().map(|meeting| running_meeting(app, meeting)).collect();
    app.forecaster.with_state(reserve, |plan| plan.rebuild(&servers, running, &recorded, now));
    Ok(())
}

impl ForecastState {
    /// Replaces what is in the book by facts; what happened since they were read is entered again.
    fn rebuild(
        &mut self,
        servers: &[Server],
        running: Vec<RunningMeeting>,
        recorded: &BTreeMap<ServerId, f64>,
        now: Timestamp,
    ) {
        let trusted = servers.iter().filter(|server| {
            server.accepts_meetings() && server.health.state(now) == HealthState::Online
        });
        let open: Vec<ForecastServer> = trusted
            .clone()
            .map(|one| ForecastServer { id: one.id.clone(), load_multiplier: one.load_multiplier })
            .collect();
        let basis = |one: &Server| {
            let load = one.load.unwrap_or(0.0);
            let ours = recorded.get(&one.id).copied().unwrap_or(0.0) * one.load_multiplier;
            ServerSnapshot {
                load,
                placed_since_poll: one.placed_since_poll,
                foreign_load: (load - ours).max(0.0),
            }
        };
        self.snapshots = trusted.map(|one| (one.id.clone(), basis(one))).collect();
        self.timetable.forget_before(now.plus_ms(-sessions::MAX_SESSION_AGE_MS));
        self.load_forecast.rebuild(now, &open, running, &self.timetable);
        for change in self.changes.take().unwrap_or_default() {
            self.apply_change(change);
        }
    }
}
