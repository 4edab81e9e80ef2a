//! HTTP: listening, limits, routing, and the translation between requests and use cases. Nothing
//! here decides anything about meetings.

mod admin;
mod analytics;
mod bbb_api;
mod body;
mod host;
pub mod listen;
mod origin;
pub mod playback;
mod recordings;
mod respond;
mod route;
mod text_tracks;
mod upload;
mod write_timeout;

pub use route::HttpState;
pub use upload::UploadService;
