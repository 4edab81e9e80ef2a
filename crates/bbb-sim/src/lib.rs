//! Simulated BigBlueButton servers, with state and with faults that a test can set.
//!
//! Tests, benchmarks and the demo need many servers that behave like real ones, fail on command and show their state.
//! This crate deliberately shares no code with the balancer's own BigBlueButton client: a simulator with the same
//! checksum code could not reveal errors in it.

mod calls;
mod checksum;
mod clock;
mod create;
mod fault;
mod http;
mod join;
mod latency;
mod listener;
mod log;
mod meeting;
mod options;
mod params;
mod pool;
mod random;
mod render;
mod schedule;
mod server;
mod state;
mod sync;

pub use checksum::Algorithm;
pub use clock::SimClock;
pub use fault::{Fault, FaultMode};
pub use latency::Latency;
pub use log::RecordedRequest;
pub use options::{MeetingView, PoolOptions, Preload, Strictness};
pub use pool::BbbPool;
pub use schedule::UserSchedule;
pub use server::BbbServer;
