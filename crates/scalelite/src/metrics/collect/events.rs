//! What the process has counted of its own work.

use app::state::Meters;

use crate::metrics::definitions::MetricId;
use crate::metrics::values::MetricValues;

/// Writes down what was counted.
pub(super) fn collect(meters: &Meters, values: &mut MetricValues) {
    for (metric, labels, counter) in [
        (MetricId::Failovers, &[][..], &meters.failovers),
        (MetricId::Revivals, &["made"], &meters.revivals),
        (MetricId::Revivals, &["failed"], &meters.failed_revivals),
        (MetricId::DuplicatesEnded, &[], &meters.duplicates_ended),
        (MetricId::LateEnds, &[], &meters.late_ends),
        (MetricId::SuspectJoins, &["yes"], &meters.suspect_joins),
        (MetricId::SuspectJoins, &["no"], &meters.silent_suspect_joins),
        (MetricId::Adoptions, &[], &meters.adoptions),
        (MetricId::HealthChanges, &["online"], &meters.went_online),
        (MetricId::HealthChanges, &["offline"], &meters.went_offline),
        (MetricId::CallbackAttempts, &["delivered"], &meters.callbacks_delivered),
        (MetricId::CallbackAttempts, &["failed"], &meters.callback_failures),
        (MetricId::CallbacksGivenUp, &[], &meters.callbacks_given_up),
    ] {
        values.count(metric, labels, counter.read());
    }
    values.times(MetricId::Polls, &[], meters.polls.read());
    if let Some(seconds) = meters.last_cycle_s() {
        values.set(MetricId::PollCycle, &[], seconds);
    }
}
