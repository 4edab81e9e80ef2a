//! The decisions of the balancer, as plain functions over plain types: server states, load, health,
//! placement, parameters, voice bridges, polls and recordings. The crate is pure (no clock, no
//! randomness, no I/O): the current time and seeds are parameters.

pub mod address_guard;
pub mod callback_retry;
pub mod confirmation;
pub mod dial_in;
pub mod drain;
pub mod forecast;
pub mod health;
pub mod history;
pub mod load;
pub mod management;
pub mod meeting;
pub mod origin;
pub mod parameters;
pub mod periodic_job;
pub mod placement;
pub mod poll;
pub mod recording;
pub mod revival;
pub mod samples;
pub mod server;
pub mod tenant;
pub mod time;
pub mod timetable;
pub mod twins;
pub mod voice_bridge;

pub use history::{HistoryMode, MeetingSession, MeetingUsage};
pub use meeting::{Claim, Meeting, MeetingKey, MeetingLoad};
pub use origin::{CreateWindow, MeetingIdentity, MeetingOrigin};
pub use server::{AdminState, Server, ServerId, ServerLimits};
pub use tenant::{Tenant, TenantChange, TenantSetting};
pub use time::Timestamp;
pub use timetable::Timetable;
