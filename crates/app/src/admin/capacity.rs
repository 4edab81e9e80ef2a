//! How many further users the pool can take, now and in the next two hours.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::forecast::STEP_MS;
use domain::{Server, ServerId};

use crate::context::App;
use crate::forecaster;
use crate::ports::StoreError;

/// The times for which free places are told, in minutes from now.
pub const MINUTES_AHEAD: [i64; 5] = [0, 15, 30, 60, 120];
/// A forecast that is not older is good enough.
const MAX_FORECAST_AGE: Duration = Duration::from_secs(60);

/// What the pool can take, as far as servers have limits on users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolCapacity {
    /// Servers that get new meetings.
    pub available: usize,
    /// Those of them that have no limit on users.
    pub unlimited: usize,
    /// Further users of all others, at the times of [`MINUTES_AHEAD`]; `None` if no available server has a limit.
    pub free_places: Option<[f64; MINUTES_AHEAD.len()]>,
    /// Users of the largest new meeting that fits on one of them for the next two hours.
    pub largest_meeting: Option<f64>,
    /// The most users that each available server is expected to have at one time.
    pub peak_users: BTreeMap<ServerId, f64>,
}

/// Forecasts what these servers can take.
///
/// # Errors
/// When the store fails.
pub async fn forecast_capacity(app: &App, servers: &[Server]) -> Result<PoolCapacity, StoreError> {
    forecaster::refresh_if_older(app, MAX_FORECAST_AGE).await?;
    let curves = forecaster::forecast_user_curves(app, servers, app.clock.now());
    Ok(add_up(servers, &curves))
}

fn add_up(servers: &[Server], curves: &BTreeMap<ServerId, Vec<f64>>) -> PoolCapacity {
    let mut capacity = PoolCapacity::default();
    for server in servers.iter().filter(|server| server.accepts_meetings()) {
        capacity.available += 1;
        let present = server.counted_users();
        let curve = curves.get(&server.id).map_or(&[] as &[f64], Vec::as_slice);
        let peak = curve.iter().copied().fold(present, f64::max);
        capacity.peak_users.insert(server.id.clone(), peak);
        let Some(max_users) = server.limits.max_users.map(f64::from) else {
            capacity.unlimited += 1;
            continue;
        };
        let meetings = server.stats.meetings.saturating_add(server.placed_since_poll);
        let is_full = server.limits.max_meetings.is_some_and(|max| meetings >= max);
        let free = |users: f64| if is_full { 0.0 } else { (max_users - users).max(0.0) };
        let places = capacity.free_places.get_or_insert_default();
        for (minutes, free_places) in MINUTES_AHEAD.iter().zip(places) {
            let step = usize::try_from(minutes * 60_000 / STEP_MS).unwrap_or(0);
            let users = if *minutes == 0 { Some(present) } else { curve.get(step).copied() };
            *free_places += free(users.unwrap_or(present));
        }
        let largest = capacity.largest_meeting.get_or_insert(0.0);
        *largest = largest.max(free(peak).floor());
    }
    capacity
}

#[cfg(test)]
mod tests {
    use domain::AdminState;

    use super::*;
    use crate::test_app::test_server;

    #[test]
    fn free_places_follow_from_limits_and_forecast() {
        let server = |host, max_users, load| {
            let mut server = test_server(host);
            (server.limits.max_users, server.load) = (max_users, Some(load));
            server
        };
        let mut away = server("away", Some(1_000), 0.0);
        away.state = AdminState::Cordoned;
        let mut full = server("full", Some(1_000), 0.0);
        (full.limits.max_meetings, full.placed_since_poll) = (Some(1), 1);
        let mut strong = server("strong", Some(100), 20.0);
        strong.load_multiplier = 0.5;
        let servers = [server("a", Some(100), 30.0), server("any", None, 5.0), strong, away, full];
        let mut curve = vec![30.0; 25];
        (curve[6], curve[12], curve[13], curve[24]) = (80.0, 120.0, 130.0, 10.0);
        let curves = BTreeMap::from([(ServerId("a".to_owned()), curve)]);
        let capacity = add_up(&servers, &curves);
        assert_eq!((capacity.available, capacity.unlimited), (4, 1));
        // 60 places of `strong` each time, and those of `a`.
        assert_eq!(capacity.free_places, Some([130.0, 130.0, 80.0, 60.0, 150.0]));
        assert_eq!(capacity.largest_meeting, Some(60.0));
        assert_eq!(capacity.peak_users[&ServerId("a".to_owned())], 130.0);
        assert_eq!(add_up(&servers[1..2], &curves).free_places, None);
    }
}
