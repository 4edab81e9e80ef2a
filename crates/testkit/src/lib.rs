//! For tests and measurements only: contract suites, simulator, conformance runner, load driver.

pub mod answers;
mod calls;
pub mod chaos;
pub mod clock;
pub mod conformance;
pub mod contract;
pub mod private;
pub mod process;
pub mod product;
pub mod quantile;
pub mod samples;
pub mod simulator;
pub mod small;
pub mod stores;
pub mod tar;
pub mod transcript;
pub mod world;
