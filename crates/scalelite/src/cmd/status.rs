//! `status`: the pool at a glance.

use std::time::Duration;

use domain::Server;
use domain::health::Standing;
use serde_json::json;

use crate::output::table::{Cell, render};
use crate::output::{printable, say, say_text};

use super::{Failure, Session};

const HEADINGS: [&str; 10] = [
    "HOSTNAME",
    "STATE",
    "STATUS",
    "MEETINGS",
    "USERS",
    "LARGEST MEETING",
    "VIDEOS",
    "LOAD",
    "BBB VERSION",
    "TAG",
];

/// The original's table.
pub async fn print(session: &Session) -> Result<(), Failure> {
    let servers = sorted(session).await?;
    say("");
    if !servers.is_empty() {
        say_text(table(&servers));
    }
    Ok(())
}

/// The table again and again.
pub async fn watch(session: &Session) -> Result<(), Failure> {
    loop {
        let servers = sorted(session).await?;
        let users: u32 = servers.iter().map(|server| server.stats.users).sum();
        let meetings = session.app.cluster.meetings(None).await?.len();
        let table = if servers.is_empty() { String::new() } else { table(&servers) };
        // Home and clear, so that the table stays where it is.
        let clear =
            if std::io::IsTerminal::is_terminal(&std::io::stdout()) { "\x1b[H\x1b[2J" } else { "" };
        let page = format!("{clear}{table}\n {meetings} meetings placed, {users} users\n");
        if !say_text(page) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Everything about all servers, without secrets.
pub async fn json(session: &Session) -> Result<(), Failure> {
    let servers = sorted(session).await?;
    let list: Vec<_> = servers
        .iter()
        .map(|server| {
            json!({
                "id": server.id.0,
                "hostname": server.hostname(),
                "url": server.url,
                "state": server.state.name(),
                "status": status(server),
                "standing": server.health.standing(),
                "meetings": server.stats.meetings,
                "users": server.stats.users,
                "largest_meeting": server.stats.largest_meeting,
                "videos": server.stats.videos,
                "load": server.load,
                "load_multiplier": server.load_multiplier,
                "bbb_version": server.bbb_version,
                "tag": server.tag,
                "last_failure": server.health.last_failure,
            })
        })
        .collect();
    say(json!(list).to_string());
    Ok(())
}

async fn sorted(session: &Session) -> Result<Vec<Server>, Failure> {
    let mut servers = session.app.cluster.servers().await?;
    servers.sort_by(|a, b| (a.hostname(), &a.id).cmp(&(b.hostname(), &b.id)));
    Ok(servers)
}

fn status(server: &Server) -> &'static str {
    match server.health.standing() {
        Standing::Online | Standing::Suspect => "online",
        Standing::Offline | Standing::Probation => "offline",
    }
}

fn table(servers: &[Server]) -> String {
    let rows: Vec<_> = servers
        .iter()
        .map(|server| {
            let load = server.load.map(|load| format!("{load:?}")).unwrap_or_default();
            let text = |text: Option<&str>| Cell::text(printable(text.unwrap_or_default()));
            vec![
                text(Some(server.hostname())),
                Cell::text(server.state.name()),
                Cell::text(status(server)),
                Cell::text(server.stats.meetings.to_string()),
                Cell::text(server.stats.users.to_string()),
                Cell::text(server.stats.largest_meeting.to_string()),
                Cell::text(server.stats.videos.to_string()),
                Cell::Number(load),
                text(server.bbb_version.as_deref()),
                text(server.tag.as_deref()),
            ]
        })
        .collect();
    render(&HEADINGS, &rows)
}
