//! `secret`: prints the URL and secret for the configuration of a front-end.

use crate::config::{Config, Sources, read_store_settings};
use crate::output::{print_line, print_note};
use crate::wiring::configured_secrets;

use super::{CommandContext, CommandFailure, listening_url};

/// Whether the settings have secrets.
pub fn is_configured(config: &Config) -> bool {
    !configured_secrets(config).is_empty()
}

/// Prints URL and secrets of the settings, for which no store is needed.
pub fn print_configured(config: &Config, sources: &Sources) -> Result<(), CommandFailure> {
    read_store_settings(config, sources).map_err(CommandFailure)?;
    print_secrets(&listening_url(config), &configured_secrets(config));
    Ok(())
}

fn print_secrets(url: &str, secrets: &[String]) {
    print_line(format!("URL: {url}/bigbluebutton/"));
    for secret in secrets {
        print_line(format!("Secret: {secret}"));
    }
}

/// Prints URL and secret as `bbb-conf --secret` does on a BigBlueButton server.
pub fn run(context: &CommandContext) -> Result<(), CommandFailure> {
    if context.app.policy.secrets.is_empty() {
        return Err(no_secret(context));
    }
    print_secrets(&context.url, &context.app.policy.secrets);
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
