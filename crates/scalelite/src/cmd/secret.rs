//! `secret`: prints the URL and secret for the configuration of a front-end.

use crate::output::{print_line, print_note};

use super::{CommandContext, CommandFailure};

/// Prints URL and secret as `bbb-conf --secret` does on a BigBlueButton server.
pub fn run(context: &CommandContext) -> Result<(), CommandFailure> {
    print_line(format!("URL: {}/bigbluebutton/", context.url));
    for secret in &context.app.policy.secrets {
        print_line(format!("Secret: {secret}"));
    }
    if context.secret_is_generated {
        print_note(
            "The secret was generated on first start; set LOADBALANCER_SECRET to replace it.",
        );
    }
    Ok(())
}
