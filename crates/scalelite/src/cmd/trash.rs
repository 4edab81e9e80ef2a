//! `recordings trash` and `recordings restore`: deleted recordings whose files are still there.

use app::ports::TrashedRecording;
use app::recordings::file_moves;
use app::recordings::trash_time::find_trash_ms;
use serde_json::json;

use super::recordings::recording_store;
use super::{CommandContext, CommandFailure};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, printable};

/// Number of entries of the trash that are read at a time.
const TRASH_PAGE_SIZE: u32 = 200;

/// Restores recordings from the trash.
pub async fn restore(context: &CommandContext, ids: &[String]) -> Result<(), CommandFailure> {
    for id in ids {
        if !file_moves::restore_recording(&context.app, recording_store(context)?, id).await? {
            return Err(CommandFailure(format!(
                "ERROR: Recording is not in the trash: {}",
                printable(id)
            )));
        }
    }
    print_line("OK");
    Ok(())
}

/// Lists the recordings in the trash: id, formats, and when their files will be removed.
pub async fn list(context: &CommandContext, json: bool) -> Result<(), CommandFailure> {
    let store = recording_store(context)?;
    let own_ms = context.app.policy.recordings.trash_ms;
    let keep_ms = find_trash_ms(store, own_ms).await?;
    let mut after = None::<String>;
    loop {
        let page = store.list_trash(after.as_deref(), TRASH_PAGE_SIZE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.record_id.clone());
        for TrashedRecording { record_id, formats, deleted_at } in &page {
            let until = deleted_at.plus_ms(keep_ms);
            print_line(match json {
                true => json!({
                    "record_id": record_id, "formats": formats, "deleted_at_ms": deleted_at.0,
                    "until_ms": until.0,
                })
                .to_string(),
                false => {
                    let formats = printable(&formats.join(","));
                    format!("{}\t{formats}\tuntil {}", printable(record_id), format_time(until))
                }
            });
        }
    }
    if after.is_none() {
        print_note("The trash is empty");
    }
    Ok(())
}
