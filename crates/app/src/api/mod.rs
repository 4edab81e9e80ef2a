//! The calls of the BBB API, one file each, and what they share. `create` has a module of its own
//! ([`crate::create`]).

mod end;
mod errors;
mod forward;
mod get_meetings;
mod info;
mod join;
mod lrs;
mod recordings;
mod request;

pub use end::end;
pub(crate) use end::{end_on_server, forget_ended_meeting};
pub use errors::ApiError;
pub use forward::{insert_document, send_chat_message};
pub use get_meetings::{NO_MEETINGS_MESSAGE, get_meetings, no_meetings_response};
pub use info::{get_meeting_info, is_meeting_running};
pub use join::{JoinRefusal, join};
pub(crate) use lrs::{encrypt_lrs_access, find_lrs_access};
pub use recordings::{
    delete_recordings, get_recordings, no_recordings_response, publish_recordings,
    update_recordings,
};
pub(crate) use request::{
    MEETING_UNREACHABLE, apply_edits, forward_reply, is_own_meeting, meeting_key,
};
pub use request::{
    RequestLog, authenticate, authenticate_form, authenticate_with, identify_caller, merge_form,
};
