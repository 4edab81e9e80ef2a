//! The HTTP server: it accepts connections, enforces limits, routes requests, and translates
//! between HTTP and the use cases of `app`. It decides nothing about meetings or recordings.
//!
//! `state.rs`, `message.rs` and `access_log.rs` hold what all handlers share. Handlers do not know
//! the router (`route.rs`), and imports between these files form no cycle.

mod access_log;
mod active_requests;
mod admin;
mod administration;
mod analytics;
mod api_v1;
mod bbb_api;
mod body;
mod challenges;
mod connections;
mod console;
mod dial_in;
mod end_reports;
mod forwarded;
mod framing;
mod health;
mod host;
mod http2;
mod https_redirect;
mod join_retry;
mod json_cost;
pub mod listen;
mod management;
mod message;
mod metrics;
mod notices;
mod origin;
mod peer;
pub mod playback;
mod proxy_protocol;
mod recordings;
mod request_id;
mod respond;
mod route;
mod serving;
mod session_calls;
mod state;
mod text_tracks;
mod tls;
mod upload;
mod upload_service;

pub use administration::{Administration, RunChecks, ShownSetting};
pub use api_v1::render_document;
pub use connections::{ConnectionRules, Connections};
pub use forwarded::ProxyRules;
pub use health::HealthChecks;
pub use host::HostRules;
pub use https_redirect::HttpsRules;
pub use management::ManagementRules;
pub use route::Audience;
pub use state::HttpState;
pub use tls::TlsServer;
pub use upload_service::UploadService;
