//! Bounds what a server brings about by what it reports, and raises the alarm when it would be more.

use domain::ServerId;
use domain::health::ServerFailure;
use domain::poll::PollPolicy;

use crate::context::App;
use crate::ports::{PollReport, StoreError};

/// The policy of a poll of the server, which may adopt what is left of its meetings for this hour.
pub(super) fn limit_adoptions(app: &App, id: &ServerId) -> PollPolicy {
    let max_adoptions = app.change_budgets.adoptions_left(id, app.policy.poll.max_adoptions);
    PollPolicy { max_adoptions, ..app.policy.poll }
}

/// Counts what a poll has adopted. A server with more meetings that nobody has created becomes suspect,
/// with that reason. One that claims to have more users in meetings of other servers is named in the log.
pub(super) async fn note_excess(app: &App, report: &PollReport) -> Result<(), StoreError> {
    let (server, outcome) = (&report.server, &report.outcome);
    let adopted = outcome.adopted.iter().filter(|meeting| meeting.origin.is_adopted).count();
    app.change_budgets.count_adoptions(&server.id, adopted);
    let host = server.hostname();
    for meeting in &outcome.contested {
        let is_new = app.known_claims.insert(&server.id, &meeting.id);
        if is_new {
            let meeting = &meeting.id;
            tracing::warn!(server = %server.id, host, meeting, "meeting of another server claimed, left alone");
        }
    }
    if outcome.refused_adoptions == 0 {
        return Ok(());
    }
    let refused = outcome.refused_adoptions;
    if app.change_budgets.begin_alarm(&server.id) {
        tracing::error!(server = %server.id, host, refused, "too many unknown meetings, not adopted");
    }
    let reason = format!(
        "reports {refused} more meetings that this deployment has not created than \
         MAX_ADOPTIONS_PER_HOUR allows"
    );
    let failure = ServerFailure { at: report.server.health.answered_at, reason };
    app.pool.record_failure(&server.id, &failure, app.policy.poll.thresholds).await
}
