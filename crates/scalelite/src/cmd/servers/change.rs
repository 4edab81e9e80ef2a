//! Adds, changes and removes servers, with the texts of the original.

use std::io::IsTerminal as _;

use app::admin::probe::Occupancy;
use app::admin::servers::{self, NewServer, PanicOptions};
use app::ports::ServerChange;
use domain::{AdminState, Server};

use super::admin_failure;
use crate::cmd::balancer::{Balancer, not_added};
use crate::cmd::{CommandFailure, print_declined, read_confirmation};
use crate::output::{print_line, print_note, printable};

/// The warning that the original prints before it disables a server with load.
const BUSY_WARNING: &str = "\
WARNING: You are trying to disable a server with active load. You should use the cordon option if
          you do not want to clear all the meetings
If you still wish to continue please enter `yes`";

/// Parses a load multiplier. For 0 and for text that is not a number, prints a warning and returns 1, as
/// the original does.
fn parse_multiplier(text: Option<String>) -> Option<f64> {
    let text = text.filter(|text| !text.is_empty())?;
    match text.trim().parse::<f64>() {
        Ok(number) if number != 0.0 && number.is_finite() => Some(number),
        _ => {
            print_line("WARNING! Load-multiplier was not readable or 0, so it is now 1");
            Some(1.0)
        }
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A server to add, as the command line names it.
pub struct NewServerArgs {
    /// URL of its API.
    pub url: String,
    /// Its secret.
    pub secret: String,
    /// Its load multiplier.
    pub load_multiplier: Option<String>,
    /// Its tag.
    pub tag: Option<String>,
    /// Whether it is added although it cannot be used.
    pub force: bool,
}

/// Adds a server, if it answers as a BBB server and accepts the secret.
pub async fn add_checked(
    balancer: &Balancer,
    arguments: NewServerArgs,
) -> Result<(), CommandFailure> {
    let NewServerArgs { url, secret, load_multiplier, tag, force } = arguments;
    check_multiplier(load_multiplier.as_deref())?;
    if !secret.trim().is_empty() {
        servers::check_url(&url).map_err(admin_failure)?;
        if let Some(unusable) = balancer.probe_new_server(&url, &secret).await? {
            if !force {
                return Err(not_added(&unusable));
            }
            print_note(format!("WARNING: {unusable}"));
        }
    }
    let values = (Some(url), Some(secret), load_multiplier, tag);
    add_unless(balancer, values, force).await
}

/// Refuses a load multiplier that is no number: it may be the tag.
fn check_multiplier(text: Option<&str>) -> Result<(), CommandFailure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
    let Ok(number) = text.trim().parse::<f64>() else {
        return Err(CommandFailure(format!(
            "ERROR: `{text}` is no number: the load multiplier precedes the tag, which can also be given as --tag {text}"
        )));
    };
    servers::check_multiplier(number).map(drop).map_err(admin_failure)
}

/// Adds a server without asking it, as the original does.
pub async fn add(
    balancer: &Balancer,
    url: Option<String>,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    add_unless(balancer, (url, secret, load_multiplier, tag), true).await
}

/// URL, secret, load multiplier and tag.
type ServerValues = (Option<String>, Option<String>, Option<String>, Option<String>);

/// Adds a server. Another balancer refuses one that cannot be used, unless this is forced.
async fn add_unless(
    balancer: &Balancer,
    (url, secret, load_multiplier, tag): ServerValues,
    force: bool,
) -> Result<(), CommandFailure> {
    let (Some(url), Some(secret)) = (non_empty(url), non_empty(secret)) else {
        return Err(CommandFailure("Error: Please input at least a URL and a secret!".to_owned()));
    };
    servers::check_url(&url).map_err(admin_failure)?;
    let load_multiplier = parse_multiplier(load_multiplier);
    let new = NewServer { id: None, url, secret, tag: non_empty(tag), load_multiplier };
    let server = balancer.add_server(new, force).await?;
    print_line(format!("OK\nid: {}", server.id));
    Ok(())
}

async fn apply_change(
    balancer: &Balancer,
    id: &str,
    change: ServerChange,
) -> Result<(), CommandFailure> {
    let server = balancer.update_server(id, change.clone()).await?;
    if change.state == Some(AdminState::Enabled) && !server.is_online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        let reason = reason.unwrap_or_else(|| "more successful polls are needed".to_owned());
        print_note(format!("WARNING: the server is not online yet: {reason}"));
    }
    print_line("OK");
    Ok(())
}

/// Like [`update`], for a command that refuses a load multiplier that is no number.
pub async fn update_checked(
    balancer: &Balancer,
    id: &str,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    check_multiplier(load_multiplier.as_deref())?;
    update(balancer, id, secret, load_multiplier, tag).await
}

/// Changes secret, load multiplier and tag, if they are given.
pub async fn update(
    balancer: &Balancer,
    id: &str,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    print_line(format!("Updating server {id}..."));
    balancer.find_server(id).await?;
    let update = ServerChange {
        secret: non_empty(secret),
        load_multiplier: parse_multiplier(load_multiplier),
        tag: tag.map(|tag| non_empty(Some(tag))),
        ..ServerChange::default()
    };
    apply_change(balancer, id, update).await
}

/// Sets the URL of joins; an empty one removes it.
pub async fn set_join_url(balancer: &Balancer, id: &str, url: &str) -> Result<(), CommandFailure> {
    print_line(format!("Setting the URL of joins of server {id}..."));
    let join_url = Some(non_empty(Some(url.to_owned())));
    apply_change(balancer, id, ServerChange { join_url, ..ServerChange::default() }).await
}

/// Asks before people are put out of meetings; whether to go on.
///
/// # Errors
/// When nobody can be asked.
async fn confirm(
    balancer: &Balancer,
    server: &Server,
    consequence: &str,
) -> Result<bool, CommandFailure> {
    let Occupancy { meetings, users, is_current } = balancer.count_users(server).await?;
    if users == 0 {
        return Ok(true);
    }
    let people = match is_current {
        true => format!("{users} users are in {meetings} meetings of {}", server.hostname()),
        false => format!(
            "{} does not answer; {users} users were in {meetings} meetings when it answered last",
            server.hostname()
        ),
    };
    if !std::io::stdin().is_terminal() {
        return Err(CommandFailure(format!(
            "ERROR: {people}. Nothing was done; with --yes {consequence}"
        )));
    }
    print_line(format!("WARNING: {people}: {consequence}."));
    print_line("If you still wish to continue please enter `yes`");
    let is_confirmed = read_confirmation();
    if !is_confirmed {
        print_declined();
    }
    Ok(is_confirmed)
}

/// Like [`remove`], but asks first if users are in meetings of the server.
pub async fn remove_checked(
    balancer: &Balancer,
    id: &str,
    yes: bool,
) -> Result<(), CommandFailure> {
    let server = balancer.find_server(id).await?;
    let consequence = "the balancer forgets these meetings, and users cannot join them any more";
    if yes || confirm(balancer, &server, consequence).await? {
        remove(balancer, id).await?;
    }
    Ok(())
}

/// Removes a server.
pub async fn remove(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Removing server {id}..."));
    let meetings = balancer.remove_server(id).await?;
    if meetings > 0 {
        print_note(format!(
            "WARNING: {meetings} meetings of the server were removed from the pool"
        ));
    }
    print_line("OK");
    Ok(())
}

/// Like [`enable`], but fails if the server does not answer.
pub async fn enable_checked(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Enabling server {id}..."));
    let enable = ServerChange::with_state(AdminState::Enabled);
    let server = balancer.update_server(id, enable).await?;
    let reason = server.health.last_failure.as_ref().map(|failure| failure.reason.clone());
    match reason.filter(|_| !server.is_online() && server.health.failures > 0) {
        Some(reason) => Err(CommandFailure(format!(
            "ERROR: the server is enabled but cannot be used yet: {reason}. It gets meetings as soon as it answers"
        ))),
        None => {
            if !server.is_online() {
                print_note(
                    "WARNING: the server is not online yet: more successful polls are needed",
                );
            }
            print_line("OK");
            Ok(())
        }
    }
}

/// Allows new meetings on a server.
pub async fn enable(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Enabling server {id}..."));
    apply_change(balancer, id, ServerChange::with_state(AdminState::Enabled)).await
}

/// Places no new meetings on a server.
pub async fn cordon(balancer: &Balancer, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Cordoning server {id}..."));
    apply_change(balancer, id, ServerChange::with_state(AdminState::Cordoned)).await
}

/// Disables a server. If it has load, asks first, and then clears its meetings.
pub async fn disable(balancer: &Balancer, id: &str, yes: bool) -> Result<(), CommandFailure> {
    print_line(format!("Disabling server {id}..."));
    let server = balancer.find_server(id).await?;
    let has_load = server.load.is_some_and(|load| load > 0.0);
    if has_load && !yes {
        print_line(BUSY_WARNING);
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    for id in balancer.disable_server(id, has_load).await? {
        print_line(format!("Clearing Meeting id={}", printable(&id)));
    }
    print_line("OK");
    Ok(())
}

/// Like [`panic`], but asks first if users are in meetings of the server.
pub async fn panic_checked(
    balancer: &Balancer,
    id: &str,
    (keep_state, skip_end_calls): (bool, bool),
    yes: bool,
) -> Result<(), CommandFailure> {
    let server = balancer.find_server(id).await?;
    let consequence = match skip_end_calls {
        true => "the balancer forgets these meetings, and users cannot join them any more",
        false => "these meetings are ended, and their users put out",
    };
    if yes || confirm(balancer, &server, consequence).await? {
        panic(balancer, id, keep_state, skip_end_calls).await?;
    }
    Ok(())
}

/// Ends all meetings of a server, removes them from the pool, and disables the server.
pub async fn panic(
    balancer: &Balancer,
    id: &str,
    keep_state: bool,
    skip_end_calls: bool,
) -> Result<(), CommandFailure> {
    print_line(format!("Panicking server {id}..."));
    let options = PanicOptions { keep_state, skip_end_calls };
    balancer.panic_server(id, options).await?;
    print_line("OK");
    Ok(())
}

/// Sets the load multiplier.
pub async fn set_load_multiplier(
    balancer: &Balancer,
    id: &str,
    load_multiplier: Option<String>,
) -> Result<(), CommandFailure> {
    balancer.find_server(id).await?;
    let load_multiplier = parse_multiplier(Some(load_multiplier.unwrap_or_else(|| "0".to_owned())));
    apply_change(balancer, id, ServerChange { load_multiplier, ..ServerChange::default() }).await
}

/// Sets or removes the tag.
pub async fn set_tag(
    balancer: &Balancer,
    id: &str,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    apply_change(
        balancer,
        id,
        ServerChange { tag: Some(non_empty(tag)), ..ServerChange::default() },
    )
    .await
}

/// Sets the limits of a server.
pub async fn set_limits(
    balancer: &Balancer,
    id: &str,
    limits: ServerChange,
) -> Result<(), CommandFailure> {
    apply_change(balancer, id, limits).await
}
