//! What calls of front-ends tell about servers: one that does not answer is suspect at once, and the
//! rechecks between two polls see to it soon.

use domain::health::ServerFailure;
use domain::{Server, Timestamp};

use crate::context::App;
use crate::poll;

/// Notes that a server failed to answer a call that was made then.
pub(crate) async fn report_failure(app: &App, server: &Server, at: Timestamp, reason: &str) {
    tracing::warn!(server = %server.id, reason, "no usable answer");
    let failure = ServerFailure { at, reason: reason.to_owned() };
    let thresholds = app.policy.poll.thresholds;
    if let Err(error) = app.pool.record_failure(&server.id, &failure, thresholds).await {
        tracing::warn!(%error, "failure not recorded");
    }
}

/// Polls a server out of turn, because somebody waits for the verdict; returns it as it is then.
pub(crate) async fn confirm_offline(app: &App, server: Server) -> Option<Server> {
    match poll::probe_server(app, server).await {
        Ok(report) => report.map(|report| report.server),
        Err(error) => {
            tracing::warn!(%error, "poll not recorded");
            None
        }
    }
}
