//! The calls about recordings: `getRecordings`, `publishRecordings`, `updateRecordings` and
//! `deleteRecordings`.

mod change;
mod element;
mod list;
mod list_filter;
mod parameters;

pub use change::{delete_recordings, publish_recordings, update_recordings};
pub use list::{get_recordings, no_recordings_response};
