//! `recordings trash` and `recordings restore`: deleted recordings whose files are still there.

use serde_json::json;

use super::CommandFailure;
use super::balancer::{Balancer, RestorableRecording};
use crate::output::time::format_time;
use crate::output::{print_line, print_note, printable};

/// Restores recordings from the trash.
pub async fn restore(balancer: &Balancer, ids: &[String]) -> Result<(), CommandFailure> {
    for id in ids {
        if !balancer.restore_recording(id).await? {
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
pub async fn list(balancer: &Balancer, json: bool) -> Result<(), CommandFailure> {
    let print = |entry: &RestorableRecording| {
        let RestorableRecording { record_id, formats, deleted_at, until } = entry;
        print_line(match json {
            true => json!({
                "record_id": record_id, "formats": formats, "deleted_at_ms": deleted_at.0,
                "until_ms": until.0,
            })
            .to_string(),
            false => {
                let formats = printable(&formats.join(","));
                format!("{}\t{formats}\tuntil {}", printable(record_id), format_time(*until))
            }
        });
    };
    if balancer.visit_trash(print).await? == 0 {
        print_note("The trash is empty");
    }
    Ok(())
}
