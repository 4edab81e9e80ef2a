//! How many sessions are recorded in a minute, so that neither a server nor a tenant fills the history.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ServerId;
use tokio::time::Instant;

/// The time to which the numbers refer.
const PERIOD: Duration = Duration::from_secs(60);
/// Sessions of meetings on one server.
const MAX_PER_SERVER: u32 = 200;
/// Sessions of meetings of one tenant, or of all meetings without one.
const MAX_PER_TENANT: u32 = 1_000;

/// The sessions that were recorded lately.
#[derive(Debug, Default)]
pub struct SessionBudget(Mutex<Option<Recorded>>);

#[derive(Debug)]
struct Recorded {
    since: Instant,
    by_server: HashMap<ServerId, u32>,
    by_tenant: HashMap<Option<String>, u32>,
}

impl SessionBudget {
    /// Takes the right to record a session; false if there were too many within a minute.
    pub(crate) fn take(&self, server: &ServerId, tenant: Option<&str>) -> bool {
        let now = Instant::now();
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |recorded: &Recorded| now.saturating_duration_since(recorded.since) >= PERIOD;
        if recorded.as_ref().is_some_and(is_over) {
            *recorded = None;
        }
        let recorded = recorded.get_or_insert_with(|| Recorded {
            since: now,
            by_server: HashMap::new(),
            by_tenant: HashMap::new(),
        });
        let of_server = recorded.by_server.entry(server.clone()).or_default();
        let of_tenant = recorded.by_tenant.entry(tenant.map(str::to_owned)).or_default();
        let is_left = *of_server < MAX_PER_SERVER && *of_tenant < MAX_PER_TENANT;
        *of_server += u32::from(is_left);
        *of_tenant += u32::from(is_left);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_of_a_minute_are_limited_by_server_and_tenant() {
        let budget = SessionBudget::default();
        let server = |n: u32| ServerId(format!("s{n}"));
        let taken = (0..1_000).filter(|_| budget.take(&server(0), Some("t"))).count();
        assert_eq!(taken, 200);
        let taken = (0..2_000).filter(|n| budget.take(&server(1 + n % 20), Some("t"))).count();
        assert_eq!(taken, 800, "the tenant has 1,000 in all");
        assert!(budget.take(&server(1), None));
        tokio::time::advance(PERIOD).await;
        assert!(budget.take(&server(0), Some("t")));
    }
}
