//! Declarative state: brings servers, tenants and their settings to the state that a file describes.
//!
//! [`plan()`] compares what is wanted with what is there, as a plain function, and [`carry_out()`] does what the plan says. Nothing is
//! removed unless that is asked for, and nothing that people are using.

mod carry_out;
mod check;
mod fields;
mod plan;
mod run;
mod wanted;

pub use carry_out::{CarriedOut, carry_out, read_present};
pub use check::{FileProblem, check};
pub use fields::FieldChange;
pub use plan::{Change, Held, Plan, PlanOptions, PresentState, effective_value, plan};
pub use run::{Applied, ApplyFailure, apply};
pub use wanted::{WantedServer, WantedSetting, WantedState, WantedTenant};

#[cfg(test)]
mod tests;
