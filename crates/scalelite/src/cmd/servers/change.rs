//! Changing servers, in the original's words.

use app::admin::servers::{self, NewServer, Panic};
use app::ports::ServerChange;
use domain::AdminState;

use super::failure;
use crate::cmd::{Failure, Session, confirmed, declined};
use crate::output::{note, printable, say};

/// What the original says before it disables a server with load.
const BUSY: &str = "\
WARNING: You are trying to disable a server with active load. You should use the cordon option if
          you do not want to clear all the meetings
If you still wish to continue please enter `yes`";

/// A multiplier as typed. What is no number, and 0, counts as 1, and that is said.
fn multiplier(text: Option<String>) -> Option<f64> {
    let text = text.filter(|text| !text.is_empty())?;
    match text.trim().parse::<f64>() {
        Ok(number) if number != 0.0 && number.is_finite() => Some(number),
        _ => {
            say("WARNING! Load-multiplier was not readable or 0, so it is now 1");
            Some(1.0)
        }
    }
}

fn tag_of(text: Option<String>) -> Option<String> {
    text.filter(|tag| !tag.is_empty())
}

/// Adds a server.
pub async fn add(
    session: &Session,
    url: Option<String>,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), Failure> {
    let (Some(url), Some(secret)) = (tag_of(url), tag_of(secret)) else {
        return Err(Failure("Error: Please input at least a URL and a secret!".to_owned()));
    };
    servers::check_url(&url).map_err(failure)?;
    let load_multiplier = multiplier(load_multiplier);
    let new = NewServer { id: None, url, secret, tag: tag_of(tag), load_multiplier };
    let server = servers::add(&session.app, new).await.map_err(failure)?;
    say(format!("OK\nid: {}", server.id));
    Ok(())
}

async fn change(session: &Session, id: &str, change: ServerChange) -> Result<(), Failure> {
    let server = servers::update(&session.app, id, change.clone()).await.map_err(failure)?;
    if change.state == Some(AdminState::Enabled) && !server.online() {
        let reason = server.health.last_failure.map(|failure| failure.reason);
        let reason = reason.unwrap_or_else(|| "more good polls are needed".to_owned());
        note(format!("WARNING: it is not online yet: {reason}"));
    }
    say("OK");
    Ok(())
}

/// Changes secret, multiplier and tag, as far as given.
pub async fn update(
    session: &Session,
    id: &str,
    secret: Option<String>,
    load_multiplier: Option<String>,
    tag: Option<String>,
) -> Result<(), Failure> {
    say(format!("Updating server {id}..."));
    servers::find(&session.app, id).await.map_err(failure)?;
    let update = ServerChange {
        secret: secret.filter(|secret| !secret.is_empty()),
        load_multiplier: multiplier(load_multiplier),
        tag: tag.map(|tag| tag_of(Some(tag))),
        ..ServerChange::default()
    };
    change(session, id, update).await
}

/// Removes a server.
pub async fn remove(session: &Session, id: &str) -> Result<(), Failure> {
    say(format!("Removing server {id}..."));
    let meetings = servers::remove(&session.app, id).await.map_err(failure)?;
    if !meetings.is_empty() {
        note(format!("WARNING: {} meetings on it were forgotten", meetings.len()));
    }
    say("OK");
    Ok(())
}

/// Lets a server get new meetings.
pub async fn enable(session: &Session, id: &str) -> Result<(), Failure> {
    say(format!("Enabling server {id}..."));
    change(session, id, ServerChange::state(AdminState::Enabled)).await
}

/// Lets a server get no new meetings.
pub async fn cordon(session: &Session, id: &str) -> Result<(), Failure> {
    say(format!("Cordoning server {id}..."));
    change(session, id, ServerChange::state(AdminState::Cordoned)).await
}

/// Stops using a server; asks first if it has load, and then clears its meetings.
pub async fn disable(session: &Session, id: &str, yes: bool) -> Result<(), Failure> {
    say(format!("Disabling server {id}..."));
    let server = servers::find(&session.app, id).await.map_err(failure)?;
    let busy = server.load.is_some_and(|load| load > 0.0);
    if busy && !yes {
        say(BUSY);
        if !confirmed() {
            declined();
            return Ok(());
        }
    }
    // Disabled before its meetings are cleared, or new ones would be placed on it meanwhile.
    let disable = ServerChange::state(AdminState::Disabled);
    let server = servers::update(&session.app, id, disable).await.map_err(failure)?;
    if busy {
        for meeting in servers::clear(&session.app, &server, false).await.map_err(failure)? {
            say(format!("Clearing Meeting id={}", printable(&meeting.key.id)));
        }
    }
    say("OK");
    Ok(())
}

/// Ends and forgets all meetings of a server and disables it.
pub async fn panic(
    session: &Session,
    id: &str,
    keep_state: bool,
    skip_end_calls: bool,
) -> Result<(), Failure> {
    say(format!("Panicking server {id}..."));
    let how = Panic { keep_state, skip_end_calls };
    servers::panic(&session.app, id, how).await.map_err(failure)?;
    say("OK");
    Ok(())
}

/// Sets the multiplier.
pub async fn load_multiplier(
    session: &Session,
    id: &str,
    load_multiplier: Option<String>,
) -> Result<(), Failure> {
    servers::find(&session.app, id).await.map_err(failure)?;
    let load_multiplier = multiplier(Some(load_multiplier.unwrap_or_else(|| "0".to_owned())));
    change(session, id, ServerChange { load_multiplier, ..ServerChange::default() }).await
}

/// Sets or takes away the tag.
pub async fn tag(session: &Session, id: &str, tag: Option<String>) -> Result<(), Failure> {
    change(session, id, ServerChange { tag: Some(tag_of(tag)), ..ServerChange::default() }).await
}

/// Sets how much a server may take.
pub async fn limits(session: &Session, id: &str, limits: ServerChange) -> Result<(), Failure> {
    change(session, id, limits).await
}
