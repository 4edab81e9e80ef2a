//! End callbacks: front-ends hear of the end of a meeting once, and only when the meeting is over.
//!
//! A BBB server calls the addresses of a create when its copy of the meeting ends, also if that is
//! one of two copies. With `END_CALLBACKS=balancer`, [`takeover`] keeps the front-end's addresses and
//! has servers call the balancer instead, by the address of [`report`]. What a server reports there,
//! and every record that polls and ends remove, only raises the suspicion that the meeting is over.
//! [`check`] finds out whether that is so, and posts the messages ([`message`]) to the outbox.

mod check;
mod message;
mod report;
mod takeover;

use domain::MeetingKey;

use crate::context::App;

pub use check::settle_due_ends;
pub use report::{EndReportError, REPORT_PATH, accept_end_report};
pub(crate) use takeover::{close_create, take_over_end_callbacks};

/// Has the end callbacks of meetings checked whose records were removed. An error is only logged: a
/// later check finds out as well.
pub(crate) async fn suspect_ends(app: &App, keys: &[MeetingKey]) {
    let Some(records) = app.recording_store.as_ref().filter(|_| app.policy.tells_ends) else {
        return;
    };
    if keys.is_empty() {
        return;
    }
    if let Err(error) = records.suspect_ends(keys, None, app.clock.now()).await {
        tracing::warn!(meetings = keys.len(), %error, "end callbacks not checked at once");
    }
}
