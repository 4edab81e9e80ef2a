//! Failures of servers that are noticed by calls of front-ends, between two polls. A server that does not answer becomes suspect
//! at once, and rechecks find out soon whether it is offline.

use domain::health::ServerFailure;
use domain::{Server, Timestamp};

use crate::backend::BackendError;
use crate::context::App;
use crate::poll;
use crate::state::FailureKind;

/// Records that a server failed to answer a call that was sent at that time.
pub(crate) async fn report_failure(
    app: &App,
    server: &Server,
    sent_at: Timestamp,
    error: &BackendError,
) {
    app.meters.count_failure(&server.id, FailureKind::of_backend(error));
    let reason = error.to_string();
    tracing::warn!(server = %server.id, host = server.hostname(), reason, "call to server failed");
    let failure = ServerFailure { at: sent_at, reason };
    let thresholds = app.policy.poll.thresholds;
    if let Err(error) = app.pool.record_failure(&server.id, &failure, thresholds).await {
        let host = server.hostname();
        tracing::warn!(server = %server.id, host, %error, "failure not recorded");
    }
}

/// Polls a server out of turn because a call waits for the result. Returns the server as it is afterwards, or `None` if the poll
/// could not be recorded.
pub(crate) async fn confirm_offline(app: &App, server: Server) -> Option<Server> {
    match poll::probe_server(app, server).await {
        Ok(report) => report.map(|report| report.server),
        Err(error) => {
            tracing::warn!(%error, "poll not recorded");
            None
        }
    }
}
