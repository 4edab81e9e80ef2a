//! Callbacks: messages to front-ends about meetings that they created.
//!
//! A create names callback addresses. They are removed from its query and stored
//! ([`extract_callbacks`]). When the recording arrives, or the server reports what happened in the
//! meeting ([`accept_analytics`]), a message is put into the outbox, from where it is sent to the
//! front-end ([`deliver_due`]).

mod analytics;
mod deliver;
mod extract;
mod prune;
mod report_sender;
mod report_token;
mod secret_hint;

pub use analytics::{AnalyticsError, accept_analytics};
pub use deliver::deliver_due;
pub(crate) use extract::ANALYTICS_URL_PARAMETER;
pub use extract::{ANALYTICS_PATH, CreateOrigin, extract_callbacks, set_meeting_server};
pub use prune::{CallbackRetention, forget_old_callbacks};
pub use report_sender::is_token_of_a_server;
pub use secret_hint::secret_hint;
