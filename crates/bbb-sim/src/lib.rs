//! Simulated BigBlueButton servers, stateful and with faults on command.
//!
//! Tests, benchmarks and the demo need many servers that behave like real ones, fail when told to
//! and can be looked into. This crate shares no code with the balancer's own BigBlueButton client
//! on purpose: an oracle built from the same checksum code could not find its bugs.

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
