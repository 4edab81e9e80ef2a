//! What the service manager (systemd, or another one with NOTIFY_SOCKET) is told: that the process is ready, that it works, that it stops.
//! Without a service manager nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

/// The watchdog is fed so many times in the time that it waits.
const FEEDS_PER_TIMEOUT: u32 = 2;

/// Tells that the process listens and its jobs run, and begins to feed the watchdog, if there is one. The watchdog starts a
/// process again whose threads do nothing any more.
pub fn report_ready() -> Option<JoinHandle<()>> {
    notify(&[NotifyState::Ready]);
    let interval = sd_notify::watchdog_enabled()? / FEEDS_PER_TIMEOUT;
    Some(tokio::spawn(feed_watchdog(interval)))
}

/// Tells that the process stops.
pub fn report_stopping() {
    notify(&[NotifyState::Stopping]);
}

async fn feed_watchdog(interval: Duration) {
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(interval).await;
    }
}

/// A service manager that does not listen is no reason to fail.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not notified");
    }
}
