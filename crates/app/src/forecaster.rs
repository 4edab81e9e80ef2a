//! Keeps the forecast of the pool: how many users a new meeting is expected to draw, and what it costs on each server.
//!
//! Each process has a forecast of its own. It is rebuilt from the store every few seconds, and creates, joins and ends of this
//! process are applied at once in between. The rules are in [`domain::forecast`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::forecast::{
    CostEstimate, ExpectedUsersSource, NewMeeting, PoolChange, PoolForecast, RunningMeeting,
    ServerSnapshot, ServerUsers,
};
use domain::history::HistoryMode;
use domain::placement::{PlacementCosts, PlacementPolicy};
use domain::timetable::Timetable;
use domain::{MeetingKey, MeetingSession, Server, ServerId, Timestamp};

use crate::context::App;
use crate::ports::{MeetingOnServer, StoreError};
use crate::sessions::stored::list_sessions;

/// The history is read again after this, for what other replicas have recorded, in ms.
const HISTORY_REFRESH_MS: i64 = 10 * 60_000;

/// What is forecast of a meeting that needs a server.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMeetingForecast {
    /// Users that it is expected to draw, at least 1.
    pub expected_users: u32,
    /// Where that number comes from.
    pub source: ExpectedUsersSource,
    /// What it costs on each server; `None` unless servers are compared by the forecast.
    pub costs: Option<Arc<PlacementCosts>>,
    /// The estimate that the costs follow from.
    pub estimate: CostEstimate,
}

/// Forecasts a new meeting. Its key is that of its history ([`crate::policy::Policy::history_key`]).
#[must_use]
pub fn forecast_new_meeting(
    app: &App,
    meeting: &NewMeeting<'_>,
    now: Timestamp,
) -> NewMeetingForecast {
    with_forecast(app, |forecast| {
        let estimate = forecast.estimate_cost(now, meeting);
        let is_by_forecast = app.policy.placement.policy == PlacementPolicy::Forecast;
        let costs = is_by_forecast.then(|| Arc::new(forecast.placement_costs(&estimate)));
        let expected = estimate.expected_users;
        let expected_users = expected.users.max(1);
        NewMeetingForecast { expected_users, source: expected.source, costs, estimate }
    })
}

/// Forecasts the users of each server.
#[must_use]
pub fn forecast_server_users(app: &App, now: Timestamp) -> BTreeMap<ServerId, ServerUsers> {
    with_forecast(app, |forecast| forecast.forecast_users(now))
}

/// Forecasts the users of the pool in each hour of the coming week, from what was learned of the weeks before.
#[must_use]
pub fn forecast_week(app: &App, now: Timestamp) -> Vec<f64> {
    let timetable = with_forecast(app, |forecast| forecast.timetable());
    timetable.expected_week(now)
}

/// Records that a meeting was placed.
pub fn record_placement(app: &App, placed: &MeetingOnServer) {
    let MeetingOnServer { meeting, server } = placed;
    let snapshot = ServerSnapshot {
        load: server.load.unwrap_or(0.0),
        placed_since_poll: server.placed_since_poll,
        foreign_load: 0.0,
    };
    record_change(app, || {
        let running = RunningMeeting::new(app.policy.history_key(&meeting.key), meeting);
        PoolChange::Placed(RunningMeeting { server: server.id.clone(), ..running }, snapshot)
    });
}

/// Records that a user joins a meeting.
pub fn record_join(app: &App, key: &MeetingKey) {
    record_change(app, || PoolChange::Joined(app.policy.history_key(key)));
}

/// Records that a meeting has ended.
pub fn record_end(app: &App, key: &MeetingKey) {
    record_change(app, || PoolChange::Ended(app.policy.history_key(key)));
}

/// Learns from a session that was recorded.
pub(crate) fn learn_session(app: &App, session: MeetingSession) {
    record_change(app, || PoolChange::Learned(session));
}

/// Applies a change, unless this process has made no forecast yet.
fn record_change(app: &App, change: impl FnOnce() -> PoolChange) {
    if let Some(forecast) = app.forecast.lock().as_mut() {
        forecast.apply(change());
    }
}

/// Calls a function with the forecast, which is created if there is none.
fn with_forecast<T>(app: &App, work: impl FnOnce(&mut PoolForecast) -> T) -> T {
    let default_users = app.policy.poll.load.min_user_count;
    work(app.forecast.lock().get_or_insert_with(|| PoolForecast::new(default_users)))
}

/// Rebuilds the forecast from the store, and reads the history if that is due. The new forecast is prepared apart and then
/// takes the place of the one in use, so that no create waits for it.
///
/// # Errors
/// When the store fails; the forecast stays as it was.
pub async fn refresh(app: &App) -> Result<(), StoreError> {
    let now = app.clock.now();
    let (mut timetable, mut history_read_at) = with_forecast(app, |forecast| {
        forecast.begin_rebuild();
        (forecast.timetable(), forecast.history_read_at())
    });
    let history_is_due = history_read_at.is_past(HISTORY_REFRESH_MS, now);
    if history_is_due && app.policy.history != HistoryMode::Off {
        let sessions = list_sessions(app).await?;
        (timetable, history_read_at) = (Arc::new(Timetable::learned_from(sessions)), now);
    }
    let servers = app.pool.list_servers().await?;
    let meetings = app.pool.list_meetings(None).await?;
    let attached: Vec<_> = meetings
        .iter()
        .filter(|meeting| !meeting.detached)
        .map(|meeting| (app.policy.history_key(&meeting.key), meeting))
        .collect();
    let default_users = app.policy.poll.load.min_user_count;
    let learned = (timetable, history_read_at);
    let prepared = PoolForecast::prepare(default_users, learned, now, &servers, &attached);
    with_forecast(app, |forecast| forecast.replace_by(prepared));
    app.forecast.note_rebuild();
    Ok(())
}

/// Rebuilds the forecast unless that was done so lately, as it is by a job where front-ends are served.
///
/// # Errors
/// When the store fails; the forecast stays as it was.
pub async fn refresh_if_older(app: &App, age: Duration) -> Result<(), StoreError> {
    if app.forecast.is_newer_than(age) { Ok(()) } else { refresh(app).await }
}

/// Forecasts the users of each of these servers that gets new meetings, every five minutes for two hours.
pub(crate) fn forecast_user_curves(
    app: &App,
    servers: &[Server],
    now: Timestamp,
) -> BTreeMap<ServerId, Vec<f64>> {
    let multipliers: BTreeMap<&ServerId, f64> =
        servers.iter().map(|server| (&server.id, server.load_multiplier)).collect();
    let multiplier = |id: &ServerId| multipliers.get(id).copied().unwrap_or(1.0);
    with_forecast(app, |forecast| forecast.forecast_curves(now, multiplier))
}
