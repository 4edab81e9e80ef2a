//! HTTP: listening, limits, routing, and the translation between requests and use cases. Nothing
//! here decides anything about meetings.

mod admin;
mod analytics;
mod bbb_api;
mod body;
mod host;
pub mod listen;
mod long_target;
mod recordings;
mod respond;
mod route;
mod stall;
mod upload;

pub use long_target::Placeholder;
pub use route::Gate;
pub use upload::Uploading;
