//! Which commands make a store.

use super::{Command, ServersArgs, TenantsCommand};
use crate::wiring::data_dir::Creation;

/// What a command may create: only those that add something make a store.
pub(super) fn creation_for(command: &Command) -> Creation {
    let adds = match command {
        Command::Servers(ServersArgs { command: Some(command), .. }) => command.adds_servers(),
        Command::Tenants { command: Some(command) } => {
            matches!(command, TenantsCommand::Add { .. })
        }
        Command::Recordings { command } => command.adds_recordings(),
        _ => false,
    };
    if adds { Creation::NamedStore } else { Creation::Nothing }
}
