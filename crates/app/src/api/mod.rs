//! The calls of the BBB API, one file each.

mod asking;
mod attempts;
mod closed;
mod create;
mod end;
mod errors;
mod get_meetings;
mod info;
mod join;
mod lrs;
mod owner;
mod pass;
mod recordings;
mod repeat;
mod request;
mod vouched;

pub use create::create;
pub use end::end;
pub(crate) use end::{end_at, forget};
pub use errors::ApiError;
pub use get_meetings::{NO_MEETINGS, get_meetings, no_meetings};
pub use info::{get_meeting_info, is_meeting_running};
pub use join::{JoinRefused, join};
pub use pass::{insert_document, send_chat_message};
pub use recordings::{
    delete_recordings, get_recordings, no_recordings, publish_recordings, update_recordings,
};
pub(crate) use request::pass_on;
pub use request::{Trail, authenticate, caller, merge_form};
