//! Asks every server something cheap between polls, so that a death is known within about ten seconds and a return as fast,
//! whatever the poll interval is.
//!
//! A heartbeat decides nothing: when one fails, or when an offline server answers one, the server is polled, and the rules of polls
//! decide. Every process sends heartbeats of its own, because each needs to know how fast the servers answer.

use std::time::Duration;

use domain::Server;
use futures_util::FutureExt as _;
use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use tokio::time::{Instant, sleep};

use crate::backend::CallOptions;
use crate::context::App;
use crate::poll;
use crate::ports::{CallError, CallPriority, StoreError};

/// A second poll begins so long after the first one, when a heartbeat failed: two failures in a row take a server offline by default.
const SECOND_POLL_AFTER: Duration = Duration::from_secs(1);

/// Sends a heartbeat to every server, spread evenly over that time, and polls those whose state it calls into question.
///
/// # Errors
/// When the store fails.
pub async fn send_heartbeats(app: &App, spread: Duration) -> Result<(), StoreError> {
    let servers = app.pool.list_servers().await?;
    let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
    let gap = spread / count;
    let mut beats = Vec::with_capacity(servers.len());
    for (number, server) in (0..count).zip(servers) {
        let beat = async move {
            sleep(gap * number).await;
            // It may have been removed or polled meanwhile.
            match app.pool.find_server(&server.id).await? {
                Some(server) if !has_answered_lately(app, &server, spread) => {
                    send_heartbeat(app, &server).await
                }
                _ => Ok(()),
            }
        };
        beats.push(beat.boxed());
    }
    // Each takes its own time: a silent server delays no other one.
    let at_once = beats.len().max(1);
    let mut beats = stream::iter(beats).buffer_unordered(at_once);
    while let Some(result) = beats.next().await {
        result?;
    }
    Ok(())
}

/// Whether a poll has been answered in the last four fifths of the interval. A heartbeat would tell nothing new.
fn has_answered_lately(app: &App, server: &Server, interval: Duration) -> bool {
    let recent_ms = i64::try_from(interval.as_millis() * 4 / 5).unwrap_or(i64::MAX);
    // A clock that was set back must not stop heartbeats.
    (0..recent_ms).contains(&app.clock.now().ms_since(server.health.answered_at))
}

/// Sends one heartbeat: the version document, which needs neither a signature nor work of the server.
async fn send_heartbeat(app: &App, server: &Server) -> Result<(), StoreError> {
    let usual_ms = app.response_times.find(&server.id);
    let timeouts = app.policy.probe_timeouts(usual_ms);
    let options = CallOptions { priority: CallPriority::Internal, timeouts };
    let started = Instant::now();
    let alive = match app.fetch_version(server, options).await {
        Ok(_) => true,
        Err(CallError::ResponseTooLarge(_)) => true,
        Err(_) => false,
    };
    if alive {
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        app.response_times.record(&server.id, took_ms);
    }
    match (alive, server.is_online()) {
        (true, true) => Ok(()),
        (true, false) => poll::probe_server(app, server.clone()).await.map(drop),
        (false, false) => Ok(()),
        (false, true) => {
            let second = async {
                sleep(SECOND_POLL_AFTER).await;
                poll::probe_server(app, server.clone()).await
            };
            let (first, second) = join(poll::probe_server(app, server.clone()), second).await;
            first.and(second).map(drop)
        }
    }
}
