//! A rule of meetings at the moment when they really begin.

use domain::{AdminState, ServerId};

use super::Verdict;
use crate::simulator::op::Op;
use crate::simulator::world::World;

/// A meeting begins on a server that was enabled at some time since its create began. Servers that
/// a meeting is recorded on already are another matter (see `Rules::leaves_closed_servers`).
pub(crate) fn is_on_an_open_server(world: &World, op: &Op, host: &str) -> Verdict {
    let server = ServerId(host.to_owned());
    let ledger = world.ledger();
    if ledger.was(&server, Some(AdminState::Enabled), op.began) {
        return Ok(());
    }
    let known = op.kind.key().is_some_and(|key| ledger.was_home(key, &server, op.began));
    if known && !world.rules.leaves_closed_servers {
        return Ok(());
    }
    Err(format!("{op} began a meeting on {host}, which was not enabled"))
}
