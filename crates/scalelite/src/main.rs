//! The `scalelite` binary: a load balancer for BigBlueButton. Its parts are in the modules below.

#![expect(
    unreachable_pub,
    reason = "a binary has no other crates as users: pub marks what a module offers to the others"
)]

mod background;
mod checks;
mod cli;
mod cmd;
mod config;
mod http;
mod lifecycle;
mod metrics;
mod output;
mod pool_file;
mod reload;
mod service_manager;
mod telemetry;
mod tls;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
