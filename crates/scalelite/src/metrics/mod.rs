//! Metrics: numbers of the process and of the pool, for Prometheus.
//!
//! `definitions.rs` names all metrics once. What happens is counted where it happens (`app::state::Meters`, `requests.rs`); what is in the
//! stores is read when it is asked for (`collect`), at most once a second (`service.rs`). `values.rs` writes the text that Prometheus
//! reads, `reference.rs` the documentation. Labels have few values: servers and the first tenants of the stores, and names
//! that are known beforehand.

mod collect;
mod definitions;
mod loop_lag;
mod meeting_curves;
mod recent;
pub mod reference;
mod requests;
mod service;
mod values;

pub use loop_lag::watch_loop_lag;
pub use meeting_curves::MeetingCurves;
pub use recent::{MinuteCounts, RecentFailure};
pub use requests::RequestMeters;
pub use service::{MetricsService, MetricsSource};
