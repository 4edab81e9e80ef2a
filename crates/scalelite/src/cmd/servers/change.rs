//! Changing servers, in the original's words.

use app::admin::servers::{self, NewServer, PanicOptions};
use app::ports::ServerChange;
use domain::AdminState;

use super::admin_failure;
use crate::cmd::{CommandContext, CommandFailure, print_declined, read_confirmation};
use crate::output::{print_line, print_note, printable};

/// What the original says before it disables a server with load.
const BUSY_WARNING: &str = "\
WARNING: You are trying to disable a server with active load. You should use the cordon option if
          you do not want to clear all the meetings
If you still wish to continue please enter `yes`";

/// A multiplier as typed. What is no number, and 0, counts as 1, and that is said.
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
    text.filter(|tag| !tag.is_empty())
}

/// Adds a server.
pub async fn add(
    session: &CommandContext,
    url: Option<String>,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    let (Some(url), Some(secret)) = (non_empty(url), non_empty(secret)) else {
        return Err(CommandFailure("Error: Please input at least a URL and a secret!".to_owned()));
    };
    servers::check_url(&url).map_err(admin_failure)?;
    let load_multiplier = parse_multiplier(load_multiplier);
    let new = NewServer { id: None, url, secret, tag: non_empty(tag), load_multiplier };
    let server = servers::add(&session.app, new).await.map_err(admin_failure)?;
    print_line(format!("OK\nid: {}", server.id));
    Ok(())
}

async fn apply_change(
    session: &CommandContext,
    id: &str,
    change: ServerChange,
) -> Result<(), CommandFailure> {
    let server = servers::update(&session.app, id, change.clone()).await.map_err(admin_failure)?;
    if change.state == Some(AdminState::Enabled) && !server.is_online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        let reason = reason.unwrap_or_else(|| "more good polls are needed".to_owned());
        print_note(format!("WARNING: it is not online yet: {reason}"));
    }
    print_line("OK");
    Ok(())
}

/// Changes secret, multiplier and tag, as far as given.
pub async fn update(
    session: &CommandContext,
    id: &str,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    print_line(format!("Updating server {id}..."));
    servers::find(&session.app, id).await.map_err(admin_failure)?;
    let update = ServerChange {
        secret: secret.filter(|secret| !secret.is_empty()),
        load_multiplier: parse_multiplier(load_multiplier),
        tag: tag.map(|tag| non_empty(Some(tag))),
        ..ServerChange::default()
    };
    apply_change(session, id, update).await
}

/// Removes a server.
pub async fn remove(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Removing server {id}..."));
    let meetings = servers::remove(&session.app, id).await.map_err(admin_failure)?;
    if !meetings.is_empty() {
        print_note(format!("WARNING: {} meetings on it were forgotten", meetings.len()));
    }
    print_line("OK");
    Ok(())
}

/// Lets a server get new meetings.
pub async fn enable(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Enabling server {id}..."));
    apply_change(session, id, ServerChange::with_state(AdminState::Enabled)).await
}

/// Lets a server get no new meetings.
pub async fn cordon(session: &CommandContext, id: &str) -> Result<(), CommandFailure> {
    print_line(format!("Cordoning server {id}..."));
    apply_change(session, id, ServerChange::with_state(AdminState::Cordoned)).await
}

/// Stops using a server; asks first if it has load, and then clears its meetings.
pub async fn disable(session: &CommandContext, id: &str, yes: bool) -> Result<(), CommandFailure> {
    print_line(format!("Disabling server {id}..."));
    let server = servers::find(&session.app, id).await.map_err(admin_failure)?;
    let busy = server.load.is_some_and(|load| load > 0.0);
    if busy && !yes {
        print_line(BUSY_WARNING);
        if !read_confirmation() {
            print_declined();
            return Ok(());
        }
    }
    // Disabled before its meetings are cleared, or new ones would be placed on it meanwhile.
    let disable = ServerChange::with_state(AdminState::Disabled);
    let server = servers::update(&session.app, id, disable).await.map_err(admin_failure)?;
    if busy {
        for meeting in
            servers::clear_meetings(&session.app, &server, false).await.map_err(admin_failure)?
        {
            print_line(format!("Clearing Meeting id={}", printable(&meeting.key.id)));
        }
    }
    print_line("OK");
    Ok(())
}

/// Ends and forgets all meetings of a server and disables it.
pub async fn panic(
    session: &CommandContext,
    id: &str,
    keep_state: bool,
    skip_end_calls: bool,
) -> Result<(), CommandFailure> {
    print_line(format!("Panicking server {id}..."));
    let how = PanicOptions { keep_state, skip_end_calls };
    servers::panic(&session.app, id, how).await.map_err(admin_failure)?;
    print_line("OK");
    Ok(())
}

/// Sets the multiplier.
pub async fn set_load_multiplier(
    session: &CommandContext,
    id: &str,
    load_multiplier: Option<String>,
) -> Result<(), CommandFailure> {
    servers::find(&session.app, id).await.map_err(admin_failure)?;
    let load_multiplier = parse_multiplier(Some(load_multiplier.unwrap_or_else(|| "0".to_owned())));
    apply_change(session, id, ServerChange { load_multiplier, ..ServerChange::default() }).await
}

/// Sets or takes away the tag.
pub async fn set_tag(
    session: &CommandContext,
    id: &str,
    tag: Option<String>,
) -> Result<(), CommandFailure> {
    apply_change(session, id, ServerChange { tag: Some(non_empty(tag)), ..ServerChange::default() })
        .await
}

/// Sets how much a server may take.
pub async fn set_limits(
    session: &CommandContext,
    id: &str,
    limits: ServerChange,
) -> Result<(), CommandFailure> {
    apply_change(session, id, limits).await
}
