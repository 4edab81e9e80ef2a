//! What calls of front-ends tell about servers: one that does not answer is suspect at once, and
//! polled soon, out of turn, so that the verdict does not wait for the next cycle.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::health::Failure;
use domain::{Server, ServerId};

use crate::context::App;
use crate::poll;

/// After a failure a server gets this time before it is asked again.
pub(crate) const RECOVER: Duration = Duration::from_secs(1);

/// Servers that are being looked into by this process.
#[derive(Debug, Default)]
pub struct Doubts(Mutex<HashSet<ServerId>>);

impl Doubts {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<ServerId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the looking into a server, however it ends.
struct Looking(Arc<Doubts>, ServerId);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.set().remove(&self.1);
    }
}

/// Notes that a server failed to answer a call.
pub(crate) async fn note(app: &App, server: &Server, reason: &str) {
    tracing::warn!(server = %server.id, reason, "no usable answer");
    let failure = Failure { at: app.clock.now(), reason: reason.to_owned() };
    let thresholds = app.policy.poll.thresholds;
    if let Err(error) = app.cluster.record_failure(&server.id, &failure, thresholds).await {
        tracing::warn!(%error, "failure not recorded");
    }
}

/// The same, and it is looked into soon.
pub(crate) async fn failed(app: &App, server: &Server, reason: &str) {
    note(app, server, reason).await;
    if !app.doubts.set().insert(server.id.clone()) {
        return;
    }
    let looking = Looking(Arc::clone(&app.doubts), server.id.clone());
    let (app, server) = (app.clone(), server.clone());
    tokio::spawn(async move {
        tokio::time::sleep(RECOVER).await;
        let _ends_with_this = looking;
        // Nobody waits: a slow server gets all the time it needs to tell.
        if let Err(error) = poll::one(&app, server, false, None).await {
            tracing::warn!(%error, "poll not recorded");
        }
    });
}

/// Polls a server out of turn; returns it as it is then.
pub(crate) async fn confirm(app: &App, server: Server) -> Option<Server> {
    match poll::probe(app, server).await {
        Ok(report) => report.map(|report| report.server),
        Err(error) => {
            tracing::warn!(%error, "poll not recorded");
            None
        }
    }
}
