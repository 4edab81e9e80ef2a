//! Listing servers.

use app::admin::placement;
use app::backend::Way;
use app::ports::Lane;
use bbb::meetings::Meetings;
use domain::Server;
use serde_json::json;

use crate::cmd::status::last_failure;
use crate::cmd::{Failure, Session};
use crate::output::table::{Cell, render};
use crate::output::yaml::scalar;
use crate::output::{note, printable, say, say_text};

/// As the original prints them.
pub async fn plain(session: &Session) -> Result<(), Failure> {
    let servers = session.app.cluster.servers().await?;
    if servers.is_empty() {
        note("No servers are configured");
    }
    for server in servers {
        say(format!("id: {}", server.id));
        say(format!("\turl: {}", server.url));
        say(format!("\tsecret: {}", printable(&server.secret)));
        say(format!("\t{}", server.state.name()));
        say(format!("\tload: {}", load(&server)));
        say(format!("\tload multiplier: {:?}", server.load_multiplier));
        say(format!(
            "\tbbb version: {}",
            printable(server.bbb_version.as_deref().unwrap_or_default())
        ));
        say(format!("\ttag: {}", printable(server.tag.as_deref().unwrap_or_default())));
        say(format!("\t{}", if server.online() { "online" } else { "offline" }));
    }
    Ok(())
}

fn load(server: &Server) -> String {
    server.load.map_or_else(|| "unavailable".to_owned(), |load| format!("{load:?}"))
}

/// As a table, with limits, failures, and what the servers will have to carry.
pub async fn table(session: &Session) -> Result<(), Failure> {
    let servers = session.app.cluster.servers().await?;
    let outlooks = placement::outlook(&session.app, &servers).await?;
    let limit = |limit: Option<u32>| limit.map_or(String::new(), |most| most.to_string());
    let rows: Vec<_> = servers
        .iter()
        .zip(outlooks)
        .map(|(server, outlook)| {
            vec![
                Cell::text(&server.id.0),
                Cell::text(&server.url),
                Cell::text(server.state.name()),
                Cell::text(server.health.standing(session.app.clock.now()).name()),
                Cell::Number(server.stats.users.to_string()),
                Cell::Number(format!("{:.0}", outlook.reserve)),
                Cell::Number(format!("{:.0}", outlook.promised)),
                Cell::Number(load(server)),
                Cell::Number(format!("{:.1}", outlook.effective)),
                Cell::Number(format!("{:?}", server.load_multiplier)),
                Cell::text(printable(server.tag.as_deref().unwrap_or_default())),
                Cell::Number(server.limits.tier.to_string()),
                Cell::Number(limit(server.limits.max_meetings)),
                Cell::Number(limit(server.limits.max_users)),
                Cell::text(printable(&last_failure(server))),
            ]
        })
        .collect();
    let headings = [
        "ID",
        "URL",
        "STATE",
        "STATUS",
        "USERS",
        "RESERVE",
        "PROMISED",
        "LOAD",
        "FORESEEN LOAD",
        "MULTIPLIER",
        "TAG",
        "TIER",
        "MAX MEETINGS",
        "MAX USERS",
        "FAILURES",
    ];
    say_text(render(&headings, &rows));
    Ok(())
}

/// As JSON, without secrets.
pub async fn json(session: &Session) -> Result<(), Failure> {
    say(json!(session.app.cluster.servers().await?).to_string());
    Ok(())
}

/// As YAML that `sync` reads.
pub async fn yaml(session: &Session, verbose: bool) -> Result<(), Failure> {
    let servers = session.app.cluster.servers().await?;
    say("---");
    say(if servers.is_empty() { "servers: {}" } else { "servers:" });
    for server in servers {
        say(format!("  {}:", scalar(&server.id.0)));
        say(format!("    url: {}", scalar(&server.url)));
        say(format!("    secret: {}", scalar(&server.secret)));
        say(format!("    load_multiplier: {:?}", server.load_multiplier));
        say(format!("    tag: {}", scalar(server.tag.as_deref().unwrap_or_default())));
        let enabled = server.state == domain::AdminState::Enabled;
        say(format!("    enabled: {enabled}"));
        for (name, limit) in [
            ("max_meetings", server.limits.max_meetings),
            ("max_users", server.limits.max_users),
            ("tier", Some(server.limits.tier).filter(|tier| *tier > 0)),
        ] {
            if let Some(limit) = limit {
                say(format!("    {name}: {limit}"));
            }
        }
        if verbose {
            say(format!("    state: {}", server.state.name()));
            say(format!("    load: {:?}", server.load.unwrap_or(-1.0)));
            let version = server.bbb_version.as_deref().unwrap_or_default();
            say(format!("    bbb_version: {}", scalar(version)));
            say(format!("    online: {}", server.online()));
        }
    }
    Ok(())
}

/// The meetings that servers report, whoever made them.
pub async fn meetings(session: &Session, id: Option<&str>) -> Result<(), Failure> {
    let servers = session.app.cluster.servers().await?;
    let wanted: Vec<_> =
        servers.into_iter().filter(|server| id.is_none_or(|id| server.id.0 == id)).collect();
    if let (Some(id), true) = (id, wanted.is_empty()) {
        return Err(Failure(format!("ERROR: No server found with id: {id}")));
    }
    let mut failed = false;
    for server in wanted {
        say(format!("\nServer ID: {}\nServer Url: {}", server.id, server.url));
        let patience = session.app.policy.patience_with(server.online());
        let way = Way { lane: Lane::Poller, patience };
        let listed = session.app.list(&server, way).await.map_err(|error| error.to_string());
        match listed
            .and_then(|answer| Meetings::read(&answer.body).map_err(|error| error.to_string()))
        {
            Ok(meetings) => {
                say("MeetingIDs: ");
                for meeting in &meetings.list {
                    say(format!("\t{}", printable(&meeting.name)));
                }
            }
            Err(error) => {
                note(format!("WARNING: {error}"));
                failed = true;
            }
        }
    }
    if failed { Err(Failure(String::new())) } else { Ok(()) }
}
