//! `secret`: what to paste into a front-end.

use crate::output::{note, say};

use super::{Failure, Session};

/// Prints URL and secret as `bbb-conf --secret` does on a BigBlueButton server.
pub fn run(session: &Session) -> Result<(), Failure> {
    say(format!("URL: {}/bigbluebutton/", session.url));
    for secret in &session.app.policy.secrets {
        say(format!("Secret: {secret}"));
    }
    if session.own_secret {
        note("The secret was made on the first start; LOADBALANCER_SECRET would replace it.");
    }
    Ok(())
}
