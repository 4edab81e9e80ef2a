//! For tests and measurements only: contract suites, simulator, conformance runner, load driver.

mod calls;
pub mod clock;
pub mod conformance;
pub mod contract;
pub mod private;
pub mod process;
pub mod product;
pub mod simulator;
pub mod stores;
pub mod transcript;
pub mod world;
