//! `secret`: prints the URL and secret for the configuration of a front-end.

use crate::output::{print_line, print_note};

use super::{CommandContext, CommandFailure};

/// Prints URL and secret as `bbb-conf --secret` does on a BigBlueButton server.
pub fn run(context: &CommandContext) -> Result<(), CommandFailure> {
    if context.app.policy.secrets.is_empty() {
        return Err(no_secret(context));
    }
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

/// The error of a command that needs a secret, and finds none. It makes none, because the server uses another one.
pub fn no_secret(context: &CommandContext) -> CommandFailure {
    CommandFailure(format!(
        "ERROR: there is no secret: LOADBALANCER_SECRET is not set, and the data directory has no generated one. \
         The server makes one when it starts, or has one in its own settings; here settings were read {}",
        context.settings_place
    ))
}
