//! `secret`: what to paste into a front-end.

use crate::output::{print_line, print_note};

use super::{CommandContext, CommandFailure};

/// Prints URL and secret as `bbb-conf --secret` does on a BigBlueButton server.
pub fn run(session: &CommandContext) -> Result<(), CommandFailure> {
    print_line(format!("URL: {}/bigbluebutton/", session.url));
    for secret in &session.app.policy.secrets {
        print_line(format!("Secret: {secret}"));
    }
    if session.secret_is_generated {
        print_note("The secret was made on the first start; LOADBALANCER_SECRET would replace it.");
    }
    Ok(())
}
