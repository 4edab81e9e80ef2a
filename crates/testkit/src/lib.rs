//! For tests and measurements only: contract suites, simulator, conformance runner, load driver.

pub mod archives;
mod calls;
pub mod chaos;
pub mod clock;
pub mod conformance;
pub mod contract;
pub mod deployment;
pub mod end_receiver;
pub mod nightly;
pub mod private;
pub mod process;
mod process_figures;
pub mod product;
pub mod quantile;
pub mod responses;
pub mod samples;
pub mod seeded_rng;
pub mod simulator;
pub mod small_disk;
pub mod stores;
pub mod tar;
pub mod transcript;
mod wait;
