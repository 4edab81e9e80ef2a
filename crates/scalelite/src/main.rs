//! `scalelite`: a load balancer for BigBlueButton, the whole of it in one binary.

#![expect(
    unreachable_pub,
    reason = "a binary has no outside: pub is what a module offers to its siblings"
)]

mod caretaker;
mod cli;
mod cmd;
mod config;
mod http;
mod importing;
mod lifecycle;
mod output;
mod telemetry;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
