//! What commands work on: the stores of this machine, or another balancer by its management API (`--api`). A command is written once; each
//! file here says how a part of what commands need is done in both ways.

mod answers;
mod drains;
mod meetings;
mod parts;
mod pool;
mod recordings;
mod remote;
mod servers;
mod tenants;

use domain::Timestamp;

pub use self::parts::TokenRequest;
pub use self::pool::RemoteSetting;
pub use self::recordings::{Changed, RestorableRecording};
pub use self::remote::{RemoteBalancer, RemoteOptions};
pub use self::servers::not_added;
use super::{CommandContext, CommandFailure};
use crate::wiring;

/// What stands for a secret that the API does not show.
const HIDDEN: &str = "***";

/// What a command works on.
pub enum Balancer {
    /// The stores of this machine.
    Here(Box<CommandContext>),
    /// Another balancer.
    There(Box<RemoteBalancer>),
}

impl Balancer {
    /// The stores and files of this machine, for commands that cannot work without them.
    ///
    /// # Errors
    /// With `--api`.
    pub fn here(&self, command: &str) -> Result<&CommandContext, CommandFailure> {
        match self {
            Self::Here(context) => Ok(context.as_ref()),
            Self::There(_) => Err(only_here(command)),
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Here(context) => context.app.clock.now(),
            Self::There(_) => wiring::current_time(),
        }
    }
}

/// The refusal of a command that cannot work on another machine.
pub fn only_here(command: &str) -> CommandFailure {
    CommandFailure(format!(
        "ERROR: `{command}` works with the stores and files of the machine that it runs on: run it there, without --api"
    ))
}
