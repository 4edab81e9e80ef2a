//! `status`: the pool at a glance.

use std::time::Duration;

use app::admin::placement;
use domain::Server;
use serde_json::json;

use crate::output::table::{Cell, render};
use crate::output::{printable, say, say_text};

use super::{Failure, Session, clock_time};

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
/// What the original does not show.
const MORE_HEADINGS: [&str; 4] = ["RESERVE", "PROMISED", "FORESEEN LOAD", "FAILURES"];

/// The original's table.
pub async fn print(session: &Session) -> Result<(), Failure> {
    let servers = sorted(session).await?;
    say("");
    if !servers.is_empty() {
        say_text(table(&servers));
    }
    Ok(())
}

/// The same with what only we know: why servers failed, and what they will have to carry.
pub async fn print_all(session: &Session) -> Result<(), Failure> {
    let servers = sorted(session).await?;
    say("");
    if !servers.is_empty() {
        say_text(long_table(session, &servers).await?);
    }
    Ok(())
}

async fn long_table(session: &Session, servers: &[Server]) -> Result<String, Failure> {
    let outlooks = placement::outlook(&session.app, servers).await?;
    let headings: Vec<&str> = HEADINGS.iter().chain(&MORE_HEADINGS).copied().collect();
    let mut rows = rows(servers);
    for ((row, server), outlook) in rows.iter_mut().zip(servers).zip(outlooks) {
        row[2] = Cell::text(server.health.standing(session.app.clock.now()).name());
        let seats = |seats: f64| Cell::Number(format!("{seats:.0}"));
        row.extend([seats(outlook.reserve), seats(outlook.promised)]);
        row.push(Cell::Number(format!("{:.1}", outlook.effective)));
        row.push(Cell::text(printable(&last_failure(server))));
    }
    Ok(render(&headings, &rows))
}

/// The last failure in a line: how often in a row, when, and why.
pub fn last_failure(server: &Server) -> String {
    let Some(failure) = &server.health.last_failure else {
        return String::new();
    };
    let (count, at) = (server.health.failures, clock_time(failure.at));
    format!("{count} x, last {at}: {}", failure.reason)
}

/// The table again and again.
pub async fn watch(session: &Session) -> Result<(), Failure> {
    loop {
        let servers = sorted(session).await?;
        let users: u32 = servers.iter().map(|server| server.stats.users).sum();
        let meetings = session.app.cluster.meetings(None).await?.len();
        let table = match servers.is_empty() {
            true => String::new(),
            false => long_table(session, &servers).await?,
        };
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
    let outlooks = placement::outlook(&session.app, &servers).await?;
    let list: Vec<_> = servers
        .iter()
        .zip(outlooks)
        .map(|(server, outlook)| {
            json!({
                "id": server.id.0,
                "hostname": server.hostname(),
                "url": server.url,
                "state": server.state.name(),
                "status": status(server),
                "standing": server.health.standing(session.app.clock.now()),
                "meetings": server.stats.meetings,
                "users": server.stats.users,
                "largest_meeting": server.stats.largest_meeting,
                "videos": server.stats.videos,
                "load": server.load,
                "load_multiplier": server.load_multiplier,
                "bbb_version": server.bbb_version,
                "tag": server.tag,
                "last_failure": server.health.last_failure,
                "failures": server.health.failures,
                "probation_until": server.health.probation_until,
                "reserve": outlook.reserve,
                "promised": outlook.promised,
                "effective_load": outlook.effective,
                "max_meetings": server.limits.max_meetings,
                "max_users": server.limits.max_users,
                "tier": server.limits.tier,
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
    if server.online() { "online" } else { "offline" }
}

fn table(servers: &[Server]) -> String {
    render(&HEADINGS, &rows(servers))
}

fn rows(servers: &[Server]) -> Vec<Vec<Cell>> {
    servers
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
        .collect()
}
