//! Callbacks: what front-ends want to be told of a meeting after it was created.
//!
//! A create names addresses. They are taken out of it and kept ([`divert`]); when the recording arrives or the server
//! reports what happened in the meeting ([`accept_analytics`]), a message goes into the outbox, and from there to the
//! front-end ([`deliver_due`]).

mod analytics;
mod deliver;
mod extract;

use bbb::Algorithm;
use bbb::checksum::compute_checksum;

pub use analytics::{AnalyticsError, accept_analytics};
pub use deliver::deliver_due;
pub use extract::{CreateOrigin, extract_callbacks, set_meeting_server};

/// The path at which servers report what happened in a meeting.
pub const ANALYTICS_PATH: &str = "/bigbluebutton/api/analytics_callback";

/// Tells one secret from another without telling it.
#[must_use]
pub fn secret_hint(secret: &str) -> String {
    compute_checksum("callback", "", secret, Algorithm::Sha256).chars().take(16).collect()
}
