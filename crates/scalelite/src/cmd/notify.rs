//! `notify test`: sends a notification through each channel, and says what came of it.

use super::{CommandFailure, build_runtime};
use crate::config::{Config, Sources};
use crate::output::{print_line, print_note, printable};
use crate::wiring::notifications::build_center;

/// Tries all channels. No store is needed.
pub fn run_test(config: &Config, sources: &Sources) -> Result<(), CommandFailure> {
    let Some(center) = build_center(config)? else {
        return Err(CommandFailure(format!(
            "ERROR: no channel is set: neither NOTIFY_WEBHOOK_URL nor NOTIFY_SMTP_URL. Settings were read {}",
            sources.describe()
        )));
    };
    build_runtime(false)?.block_on(async {
        let notification = center.test_notification();
        let mut failed = false;
        for channel in center.channels() {
            let sender = channel.sender();
            let place = format!("{} to {}", sender.name(), printable(&sender.destination()));
            match sender.send(&notification).await {
                Ok(answer) => print_line(format!("{place}: accepted: {}", printable(&answer))),
                Err(reason) => {
                    failed = true;
                    print_note(format!("ERROR: {place}: not accepted: {}", printable(&reason)));
                }
            }
        }
        if failed { Err(CommandFailure(String::new())) } else { Ok(()) }
    })
}
