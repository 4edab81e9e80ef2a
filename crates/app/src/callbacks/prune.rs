//! Forgets old messages and callback addresses: they hold personal data, and nobody waits for them
//! any more.

use crate::context::App;
use crate::ports::StoreError;

/// Number of callback addresses that are forgotten in one operation of the store.
const BATCH: u32 = 1_000;
/// Maximum number of these operations in one run; the next run continues.
const MAX_BATCHES: usize = 1_000;

/// How long messages and addresses are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackRetention {
    /// `CALLBACK_RETENTION_DAYS`, in ms: messages that were posted longer ago are forgotten. They
    /// were given up long before. `None`: never.
    pub message_ms: Option<i64>,
    /// `CALLBACK_ADDRESS_RETENTION_DAYS`, in ms: addresses of creates that were changed longer ago
    /// are forgotten. `None`: never.
    pub address_ms: Option<i64>,
}

/// Forgets what is older than the rule says; returns the number of messages and of addresses.
///
/// # Errors
/// When the store fails.
pub async fn forget_old_callbacks(
    app: &App,
    rule: CallbackRetention,
) -> Result<(u64, u64), StoreError> {
    let Some(records) = &app.recording_store else {
        return Ok((0, 0));
    };
    let now = app.clock.now();
    if !app.clock_watch.may_delete_by_age(now) {
        return Ok((0, 0));
    }
    let before = |keep_ms: i64| now.plus_ms(keep_ms.saturating_neg());
    let messages = match rule.message_ms {
        Some(keep_ms) => records.forget_messages(before(keep_ms)).await?,
        None => 0,
    };
    let mut addresses = 0;
    if let Some(oldest) = rule.address_ms.map(before) {
        for _ in 0..MAX_BATCHES {
            let forgotten = records.forget_callbacks(oldest, BATCH).await?;
            addresses += forgotten;
            if forgotten == 0 {
                break;
            }
        }
    }
    Ok((messages, addresses))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::recording::Callback;

    use super::*;
    use crate::memory::MemoryRecordings;
    use crate::ports::Recordings as _;
    use crate::state::ClockWatch;
    use crate::test_app::{START, test_app};

    #[tokio::test(start_paused = true)]
    async fn nothing_is_forgotten_by_a_clock_that_was_set_ahead() {
        let (mut app, _) = test_app(&[], |_| None).await;
        let records = Arc::new(MemoryRecordings::default());
        let old = Callback { meeting_id: "m".to_owned(), ..Callback::default() };
        records.put_callback(&old).await.unwrap();
        app.recording_store = Some(records);
        let rule = CallbackRetention { message_ms: Some(1), address_ms: Some(1) };
        app.clock_watch = Arc::new(ClockWatch::new());
        app.clock_watch.note_last_known(Some(START.plus_ms(-3_600_000)), START);
        assert_eq!(forget_old_callbacks(&app, rule).await, Ok((0, 0)));
        app.clock_watch = Arc::new(ClockWatch::new());
        assert_eq!(forget_old_callbacks(&app, rule).await, Ok((0, 1)));
    }
}
