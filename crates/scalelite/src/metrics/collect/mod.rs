//! Reads the values of metrics: what the process counts and knows at once, what is in the stores within a limited time.

mod events;
mod process;
mod recordings;
mod servers;
mod stores;
mod tenants;

use std::time::Duration;

use app::ports::StoreError;
use tokio::time::{Instant, timeout};

use super::definitions::MetricId;
use super::service::MetricsSource;
use super::values::MetricValues;

/// A store that has not answered within this time is away: Prometheus waits for ten seconds.
const STORE_TIME: Duration = Duration::from_secs(4);

/// Reads the values of all metrics. What a store does not tell is left out, and `scalelite_store_up` says so.
pub(super) async fn collect(source: &MetricsSource) -> MetricValues {
    let started = Instant::now();
    let mut values = MetricValues::default();
    let app = &source.app;
    // At the same time, so that a store that hangs costs its time once.
    let (state, recordings, servers, tenants, work) = tokio::join!(
        stores::check_state(app),
        stores::check_recordings(app),
        in_time(servers::collect(app)),
        in_time(tenants::collect(app, &source.requests)),
        in_time(recordings::collect(app)),
    );
    for found in [Some(state), Some(recordings), servers, tenants, work] {
        values.append(found.unwrap_or_default());
    }
    events::collect(&app.meters, &mut values);
    source.requests.collect(&mut values);
    stores::collect_health(source, &mut values);
    process::collect(source, &mut values);
    values.set(MetricId::ScrapeSeconds, &[], started.elapsed().as_secs_f64());
    values
}

/// What a store tells in time.
async fn in_time<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
    match timeout(STORE_TIME, reading).await {
        Ok(Ok(read)) => Some(read),
        Ok(Err(error)) => {
            tracing::debug!(%error, "metrics not read");
            None
        }
        Err(_) => None,
    }
}
