//! The HTTP server: it accepts connections, enforces limits, routes requests, and translates
//! between HTTP and the use cases of `app`. It decides nothing about meetings or recordings.
//!
//! `state.rs`, `message.rs` and `access_log.rs` hold what all handlers share. Handlers do not know
//! the router (`route.rs`), and imports between these files form no cycle.

mod access_log;
mod active_requests;
mod admin;
mod analytics;
mod bbb_api;
mod body;
mod connections;
mod end_reports;
mod framing;
mod health;
mod host;
mod join_retry;
mod json_cost;
pub mod listen;
mod management;
mod message;
mod origin;
pub mod playback;
mod recordings;
mod respond;
mod route;
mod session_calls;
mod state;
mod text_tracks;
mod upload;
mod upload_service;

pub use connections::ConnectionRules;
pub use health::HealthChecks;
pub use host::HostRules;
pub use management::ManagementRules;
pub use route::Audience;
pub use state::HttpState;
pub use upload_service::UploadService;
