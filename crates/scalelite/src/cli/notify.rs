//! Arguments of `notify`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a notification through each channel, and say what came of it.
    Test,
}
