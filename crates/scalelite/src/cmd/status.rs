//! `status`: shows the state of all servers.

use std::time::Duration;

use app::admin::placement;
use domain::{Server, twins};
use serde_json::json;

use crate::output::table::{self, Cell};
use crate::output::{print_line, print_text, printable, rake_table};

use super::{CommandContext, CommandFailure, format_time};

/// Columns of the original's `rake status`.
const RAKE_HEADINGS: [&str; 10] = [
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
/// Columns that the original does not have.
const ADDITIONAL_HEADINGS: [&str; 5] =
    ["EXPECTED USERS", "UPCOMING USERS", "FORECAST LOAD", "SAME AS", "FAILURES"];

/// Prints the state of all servers: as JSON, again and again, or once.
pub async fn run(context: &CommandContext, json: bool, watch: bool) -> Result<(), CommandFailure> {
    match (json, watch) {
        (true, _) => print_json(context).await,
        (_, true) => self::watch(context).await,
        _ => print_table(context).await,
    }
}

/// Prints the table of the original's `rake status`.
pub async fn print_rake_table(context: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(context).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(rake_table::render(&RAKE_HEADINGS, &table_rows(&servers)));
    }
    Ok(())
}

/// Prints the table with additional columns: expected users, forecast load and the last failure.
async fn print_table(context: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(context).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(render_table(context, &servers).await?);
    }
    Ok(())
}

async fn render_table(
    context: &CommandContext,
    servers: &[Server],
) -> Result<String, CommandFailure> {
    let outlooks = placement::forecast_servers(&context.app, servers).await?;
    let headings: Vec<&str> = RAKE_HEADINGS.iter().chain(&ADDITIONAL_HEADINGS).copied().collect();
    let mut rows = table_rows(servers);
    for ((row, server), outlook) in rows.iter_mut().zip(servers).zip(outlooks) {
        row[2] = Cell::text(server.health.state(context.app.clock.now()).name());
        let users = |users: f64| Cell::Number(format!("{users:.0}"));
        row.extend([users(outlook.expected_users), users(outlook.upcoming_users)]);
        row.push(Cell::Number(format!("{:.1}", outlook.expected_load)));
        row.push(Cell::text(printable(&describe_twins(server, servers))));
        row.push(Cell::text(printable(&describe_last_failure(server))));
    }
    Ok(table::render(&headings, &rows))
}

/// The last failure in one line: number of failures in a row, time, and reason.
pub fn describe_last_failure(server: &Server) -> String {
    let Some(failure) = &server.health.last_failure else {
        return String::new();
    };
    let (count, time) = (server.health.failures, format_time(failure.at));
    format!("{count} x, last {time}: {}", failure.reason)
}

/// The ids of the other entries that are the same server as this one.
pub fn describe_twins(server: &Server, servers: &[Server]) -> String {
    let twins = twins::list_twins(server, servers).into_iter();
    twins.map(|twin| twin.0.as_str()).collect::<Vec<_>>().join(", ")
}

/// Prints the table every two seconds until the output is closed.
async fn watch(context: &CommandContext) -> Result<(), CommandFailure> {
    loop {
        let servers = list_sorted_servers(context).await?;
        let users = twins::total_stats(&servers).users;
        let meetings = context.app.pool.list_meetings(None).await?.len();
        let table = match servers.is_empty() {
            true => String::new(),
            false => render_table(context, &servers).await?,
        };
        // Cursor to the top left, then clear the terminal.
        let clear =
            if std::io::IsTerminal::is_terminal(&std::io::stdout()) { "\x1b[H\x1b[2J" } else { "" };
        let page = format!("{clear}{table}\n {meetings} meetings placed, {users} users\n");
        if !print_text(page) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Prints all servers as JSON, without secrets.
async fn print_json(context: &CommandContext) -> Result<(), CommandFailure> {
    let servers = list_sorted_servers(context).await?;
    let outlooks = placement::forecast_servers(&context.app, &servers).await?;
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
                "health": server.health.state(context.app.clock.now()),
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
                "expected_users": outlook.expected_users,
                "upcoming_users": outlook.upcoming_users,
                "forecast_load": outlook.expected_load,
                "max_meetings": server.limits.max_meetings,
                "max_users": server.limits.max_users,
                "tier": server.limits.tier,
                "same_as": twins::list_twins(server, &servers),
            })
        })
        .collect();
    print_line(json!(list).to_string());
    Ok(())
}

async fn list_sorted_servers(context: &CommandContext) -> Result<Vec<Server>, CommandFailure> {
    let mut servers = context.app.pool.list_servers().await?;
    servers.sort_by(|a, b| (a.hostname(), &a.id).cmp(&(b.hostname(), &b.id)));
    Ok(servers)
}

fn status_name(server: &Server) -> &'static str {
    if server.is_online() { "online" } else { "offline" }
}

/// The columns of the original.
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
