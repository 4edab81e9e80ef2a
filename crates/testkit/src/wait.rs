//! Waits for events. Tests never sleep for a fixed time in the hope that something has happened.

use crate::product::DEADLINE;
use anyhow::Context as _;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The interval between two checks of a condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until a condition holds, for [`DEADLINE`] at most.
///
/// # Errors
/// When it never holds. The message is `never` and `what`.
pub async fn wait_until(what: &str, condition: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    wait_until_within(DEADLINE, what, condition).await
}

/// Waits until a condition holds, for `deadline` at most.
///
/// # Errors
/// When it never holds. The message is `never` and `what`.
pub async fn wait_until_within(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let waiting = async {
        while !condition().await {
            sleep(CHECK_INTERVAL).await;
        }
    };
    let waited = timeout(deadline, waiting).await;
    waited.with_context(|| format!("never {what}"))
}
