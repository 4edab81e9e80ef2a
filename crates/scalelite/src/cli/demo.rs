//! Arguments of `demo`.

use clap::Args;

/// Options of the demo.
#[derive(Clone, Copy, Debug, Args)]
pub struct DemoArgs {
    /// Number of simulated servers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub servers: u16,
    /// How many times faster than in reality meetings start and end.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub speed: u32,
}
