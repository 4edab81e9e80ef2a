//! Measures how late timers of the process fire.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::requests::RequestMeters;

/// Time between two measurements.
const INTERVAL: Duration = Duration::from_millis(500);

/// Starts to measure, until `stop` becomes true.
pub fn watch_loop_lag(meters: &Arc<RequestMeters>, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    let (meters, mut stop) = (meters.clone(), stop.clone());
    tokio::spawn(async move {
        let measuring = async {
            loop {
                let due = Instant::now() + INTERVAL;
                sleep_until(due).await;
                meters.loop_lag.observe(due.elapsed());
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = measuring => {}
        }
    })
}
