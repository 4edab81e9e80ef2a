//! Forgets old messages and callback addresses: they hold personal data, and nobody waits for them
//! any more.

use domain::Timestamp;

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
    let before = |keep_ms: i64| app.clock.now().plus_ms(keep_ms.saturating_neg());
    let messages = match rule.message_ms {
        Some(keep_ms) => records.forget_messages(before(keep_ms)).await?,
        None => 0,
    };
    let mut addresses = 0;
    let oldest: Option<Timestamp> = rule.address_ms.map(before);
    if let Some(oldest) = oldest {
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
