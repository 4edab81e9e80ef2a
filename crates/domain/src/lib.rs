//! The balancer's decisions, as plain functions over plain types: states of servers, load,
//! health, placement, parameters, voice bridges, and what a poll means. No input or output, no
//! clock, no randomness: `now` and seeds are parameters.

pub mod booking;
pub mod delivery;
pub mod guard;
pub mod health;
pub mod history;
pub mod load;
pub mod meeting;
pub mod parameters;
pub mod placement;
pub mod poll;
pub mod recording;
pub mod server;
pub mod tenant;
pub mod time;
pub mod timetable;
pub mod turn;
pub mod voice_bridge;

pub use history::{Course, Session};
pub use meeting::{Claim, Meeting, MeetingKey, Seats};
pub use server::{AdminState, Limits, Server, ServerId};
pub use tenant::{Tenant, TenantChange, TenantSetting};
pub use time::Timestamp;
pub use timetable::Timetable;
