//! `status`: the pool at a glance.

use std::time::Duration;

use app::admin::placement;
use domain::Server;
use serde_json::json;

use crate::output::table::{Cell, render};
use crate::output::{print_line, print_text, printable};

use super::{CommandContext, CommandFailure, format_time};

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
const EXTRA_HEADINGS: [&str; 4] = ["RESERVE", "PROMISED", "FORESEEN LOAD", "FAILURES"];

/// The original's table.
pub async fn print_table(session: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(session).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(render_table(&servers));
    }
    Ok(())
}

/// The same with what only we know: why servers failed, and what they will have to carry.
pub async fn print_long_table(session: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(session).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(render_long_table(session, &servers).await?);
    }
    Ok(())
}

async fn render_long_table(
    session: &CommandContext,
    servers: &[Server],
) -> Result<String, CommandFailure> {
    let outlooks = placement::forecast_servers(&session.app, servers).await?;
    let headings: Vec<&str> = HEADINGS.iter().chain(&EXTRA_HEADINGS).copied().collect();
    let mut rows = table_rows(servers);
    for ((row, server), outlook) in rows.iter_mut().zip(servers).zip(outlooks) {
        row[2] = Cell::text(server.health.state(session.app.clock.now()).name());
        let seats = |seats: f64| Cell::Number(format!("{seats:.0}"));
        row.extend([seats(outlook.expected_users), seats(outlook.upcoming_users)]);
        row.push(Cell::Number(format!("{:.1}", outlook.expected_load)));
        row.push(Cell::text(printable(&describe_last_failure(server))));
    }
    Ok(render(&headings, &rows))
}

/// The last failure in a line: how often in a row, when, and why.
pub fn describe_last_failure(server: &Server) -> String {
    let Some(failure) = &server.health.last_failure else {
        return String::new();
    };
    let (count, at) = (server.health.failures, format_time(failure.at));
    format!("{count} x, last {at}: {}", failure.reason)
}

/// The table again and again.
pub async fn watch(session: &CommandContext) -> Result<(), CommandFailure> {
    loop {
        let servers = list_sorted_servers(session).await?;
        let users: u32 = servers.iter().map(|server| server.stats.users).sum();
        let meetings = session.app.pool.list_meetings(None).await?.len();
        let table = match servers.is_empty() {
            true => String::new(),
            false => render_long_table(session, &servers).await?,
        };
        // Home and clear, so that the table stays where it is.
        let clear =
            if std::io::IsTerminal::is_terminal(&std::io::stdout()) { "\x1b[H\x1b[2J" } else { "" };
        let page = format!("{clear}{table}\n {meetings} meetings placed, {users} users\n");
        if !print_text(page) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Everything about all servers, without secrets.
pub async fn print_json(session: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(session).await?;
    let outlooks = placement::forecast_servers(&session.app, &servers).await?;
    let list: Vec<_> = servers
        .iter()
        .zip(outlooks)
        .map(|(server, outlook)| {
            json!({
                "id": server.id.0,
                "hostname": server.hostname(),
                "url": server.url,
                "state": server.state.name(),
                "status": status_name(server),
                "standing": server.health.state(session.app.clock.now()),
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
                "reserve": outlook.expected_users,
                "promised": outlook.upcoming_users,
                "effective_load": outlook.expected_load,
                "max_meetings": server.limits.max_meetings,
                "max_users": server.limits.max_users,
                "tier": server.limits.tier,
            })
        })
        .collect();
    print_line(json!(list).to_string());
    Ok(())
}

async fn list_sorted_servers(session: &CommandContext) -> Result<Vec<Server>, CommandFailure> {
    let mut servers = session.app.pool.list_servers().await?;
    servers.sort_by(|a, b| (a.hostname(), &a.id).cmp(&(b.hostname(), &b.id)));
    Ok(servers)
}

fn status_name(server: &Server) -> &'static str {
    if server.is_online() { "online" } else { "offline" }
}

fn render_table(servers: &[Server]) -> String {
    render(&HEADINGS, &table_rows(servers))
}

fn table_rows(servers: &[Server]) -> Vec<Vec<Cell>> {
    servers
        .iter()
        .map(|server| {
            let load = server.load.map(|load| format!("{load:?}")).unwrap_or_default();
            let text = |text: Option<&str>| Cell::text(printable(text.unwrap_or_default()));
            vec![
                text(Some(server.hostname())),
                Cell::text(server.state.name()),
                Cell::text(status_name(server)),
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
