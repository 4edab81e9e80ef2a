//! The numbers by which monitoring systems judge the pool.

use domain::{AdminState, twins};

use crate::context::App;
use crate::health::POLL_JOB;
use crate::ports::StoreError;

/// The pool in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolNumbers {
    /// Servers that are enabled.
    pub enabled: usize,
    /// Host names of enabled servers that are offline.
    pub offline: Vec<String>,
    /// Meetings on all servers, as polls found them.
    pub meetings: u64,
    /// Their users.
    pub users: u64,
    /// The load of all enabled servers that are online.
    pub load: f64,
    /// How long ago a poll cycle began, in ms, by the clocks of both processes; `None` if there was none.
    pub poll_age_ms: Option<i64>,
}

/// Counts what is in the store. No server is asked.
///
/// # Errors
/// When the store fails.
pub async fn count_pool(app: &App) -> Result<PoolNumbers, StoreError> {
    let servers = app.pool.list_servers().await?;
    let last_poll = app.periodic_jobs.find_last_run(POLL_JOB).await?;
    let now = app.clock.now();
    let total = twins::total_stats(&servers);
    let mut numbers = PoolNumbers {
        meetings: total.meetings.into(),
        users: total.users.into(),
        poll_age_ms: last_poll.map(|run| now.ms_since(run.started_at)),
        ..PoolNumbers::default()
    };
    for server in servers.iter().filter(|server| server.state == AdminState::Enabled) {
        numbers.enabled += 1;
        if server.is_online() {
            numbers.load += server.load.unwrap_or_default();
        } else {
            numbers.offline.push(server.hostname().to_owned());
        }
    }
    Ok(numbers)
}
