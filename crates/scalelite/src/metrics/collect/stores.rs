//! Whether the stores and all other parts can be used, how much space directories have, and when the certificate ends.

use app::App;
use app::blocking::describe_hanging_work;
use app::ports::{PartHealth, StoreError};
use tokio::time::Instant;

use super::in_time;
use crate::metrics::definitions::MetricId;
use crate::metrics::service::MetricsSource;
use crate::metrics::values::MetricValues;

/// Asks the state store.
pub(super) async fn check_state(app: &App) -> MetricValues {
    check("state", app.pool.check_store()).await
}

/// Asks the recording store, if there is one.
pub(super) async fn check_recordings(app: &App) -> MetricValues {
    match &app.recording_store {
        Some(store) => check("recordings", store.check_recording_store()).await,
        None => MetricValues::default(),
    }
}

async fn check(store: &str, asking: impl Future<Output = Result<(), StoreError>>) -> MetricValues {
    let mut values = MetricValues::default();
    let started = Instant::now();
    let is_up = in_time(asking).await.is_some();
    values.set_whether(MetricId::StoreUp, &[store], is_up);
    values.set(MetricId::StoreCheck, &[store], started.elapsed().as_secs_f64());
    values
}

/// Writes down what is known of the parts of the process.
pub(super) fn collect_health(source: &MetricsSource, values: &mut MetricValues) {
    for part in source.health.report() {
        values.set_whether(MetricId::PartUsable, &[part.name], part.is_usable());
        let is_warned = matches!(part.health, Some(PartHealth::Warning(_)));
        values.set_whether(MetricId::PartWarning, &[part.name], is_warned);
    }
    values.set(MetricId::HangingWork, &[], describe_hanging_work().len() as f64);
    for (name, space) in source.health.spaces() {
        values.set(MetricId::DirectoryFree, &[name], space.free as f64);
        values.set(MetricId::DirectorySize, &[name], space.size as f64);
    }
    if let Some(facts) = source.certificate.facts() {
        values.set(MetricId::CertificateEnd, &[], (facts.not_after.0 / 1000) as f64);
    }
}
