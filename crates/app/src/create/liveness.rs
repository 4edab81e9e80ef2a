//! Seeks evidence that a server is dead while a create on it is unanswered. A create may take many seconds: BBB fetches slides and
//! plugins first. A slow server is not dead as long as it answers something cheap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::Server;
use tokio::time::{Instant, sleep, sleep_until};

use crate::backend::{BackendError, meeting_query};
use crate::context::App;
use crate::ports::CallError;

/// A create is unanswered for this long before the server is asked something else, and that long passes between two questions.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// So many questions in a row must fail.
const MAX_FAILED_PROBES: u32 = 2;
/// Time between two questions of which the first one failed: enough for a lost packet, or a web server that reloads.
const RECHECK_INTERVAL: Duration = Duration::from_millis(300);

/// Whether a server has answered a question since its create was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct SignOfLife(Arc<AtomicBool>);

impl SignOfLife {
    /// Whether it has.
    pub(super) fn is_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns why the server counts as dead, when it does; never before the deadline otherwise. The server is asked about the
/// meeting, at intervals, with a deadline that suits how fast it answers ordinarily ([`App::call_server_briefly`]).
pub(super) async fn watch_for_death(
    app: App,
    server: Server,
    meeting_id: String,
    deadline: Instant,
    sign_of_life: SignOfLife,
) -> BackendError {
    let query = meeting_query(&meeting_id);
    let mut failed = 0;
    let mut pause = PROBE_INTERVAL;
    loop {
        sleep(pause).await;
        match app.probe(&server, &query).await {
            Ok(()) => {
                sign_of_life.0.store(true, Ordering::Relaxed);
                (failed, pause) = (0, PROBE_INTERVAL);
            }
            Err(error) => {
                failed += 1;
                if failed >= MAX_FAILED_PROBES {
                    return error;
                }
                pause = RECHECK_INTERVAL;
            }
        }
        if Instant::now() >= deadline {
            sleep_until(deadline).await;
            return CallError::Timeout(app.policy.timeouts.response_ms).into();
        }
    }
}
