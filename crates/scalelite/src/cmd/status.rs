//! `status`: shows the state of all servers.

use std::io::IsTerminal as _;
use std::time::Duration;

use app::admin::placement::ServerOutlook;
use domain::{Server, Timestamp, twins};
use serde_json::json;

use crate::output::table::{self, Cell};
use crate::output::time::format_time;
use crate::output::{print_line, print_text, printable, rake_table};

use super::CommandFailure;
use super::balancer::Balancer;

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
/// Width that the usual columns fit into.
const NARROW_WIDTH: usize = 80;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Column {
    Hostname,
    Id,
    State,
    Status,
    Meetings,
    Users,
    LargestMeeting,
    Videos,
    Load,
    BbbVersion,
    Tag,
    ExpectedUsers,
    UpcomingUsers,
    ForecastLoad,
    SameAs,
    Failures,
}

/// The usual columns.
const NARROW: [Column; 6] = [
    Column::Hostname,
    Column::State,
    Column::Status,
    Column::Meetings,
    Column::Users,
    Column::Load,
];

/// The columns of the original, and those that it does not have.
const WIDE: [Column; 15] = [
    Column::Hostname,
    Column::State,
    Column::Status,
    Column::Meetings,
    Column::Users,
    Column::LargestMeeting,
    Column::Videos,
    Column::Load,
    Column::BbbVersion,
    Column::Tag,
    Column::ExpectedUsers,
    Column::UpcomingUsers,
    Column::ForecastLoad,
    Column::SameAs,
    Column::Failures,
];

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Hostname => "HOSTNAME",
            Self::Id => "ID",
            Self::State => "STATE",
            Self::Status => "STATUS",
            Self::Meetings => "MEETINGS",
            Self::Users => "USERS",
            Self::LargestMeeting => "LARGEST MEETING",
            Self::Videos => "VIDEOS",
            Self::Load => "LOAD",
            Self::BbbVersion => "BBB VERSION",
            Self::Tag => "TAG",
            Self::ExpectedUsers => "EXPECTED USERS",
            Self::UpcomingUsers => "UPCOMING USERS",
            Self::ForecastLoad => "FORECAST LOAD",
            Self::SameAs => "SAME AS",
            Self::Failures => "FAILURES",
        }
    }

    fn cell(self, row: &StatusRow<'_>) -> Cell {
        let StatusRow { server, servers, outlook, now } = row;
        let text = |text: &str| Cell::text(printable(text));
        let count = |count: u32| Cell::Number(count.to_string());
        match self {
            Self::Hostname => text(server.hostname()),
            Self::Id => text(&server.id.0),
            Self::State => Cell::text(server.state.name()),
            Self::Status => Cell::text(server.health.state(*now).name()),
            Self::Meetings => count(server.stats.meetings),
            Self::Users => count(server.stats.users),
            Self::LargestMeeting => count(server.stats.largest_meeting),
            Self::Videos => count(server.stats.videos),
            Self::Load => Cell::Number(format_load(server)),
            Self::BbbVersion => text(server.bbb_version.as_deref().unwrap_or_default()),
            Self::Tag => text(server.tag.as_deref().unwrap_or_default()),
            Self::ExpectedUsers => Cell::Number(format!("{:.0}", outlook.expected_users)),
            Self::UpcomingUsers => Cell::Number(format!("{:.0}", outlook.upcoming_users)),
            Self::ForecastLoad => Cell::Number(format!("{:.1}", outlook.expected_load)),
            Self::SameAs => text(&describe_twins(server, servers)),
            Self::Failures => text(&describe_last_failure(server)),
        }
    }
}

/// A server, with what its row shows.
struct StatusRow<'a> {
    server: &'a Server,
    servers: &'a [Server],
    outlook: ServerOutlook,
    now: Timestamp,
}

/// Which columns are shown.
pub struct StatusTable {
    columns: Vec<Column>,
    /// Whether what the columns leave out is told below the table.
    has_notes: bool,
}

impl StatusTable {
    /// All columns, these columns, or the usual ones.
    pub fn new(is_wide: bool, columns: Vec<Column>) -> Self {
        match (is_wide, columns.is_empty()) {
            (true, _) => Self { columns: WIDE.to_vec(), has_notes: false },
            (false, true) => Self { columns: NARROW.to_vec(), has_notes: true },
            (false, false) => Self { columns, has_notes: false },
        }
    }

    fn render(&self, servers: &[Server], outlooks: Vec<ServerOutlook>, now: Timestamp) -> String {
        let headings: Vec<&str> = self.columns.iter().map(|column| column.heading()).collect();
        let rows = servers.iter().zip(outlooks).map(|(server, outlook)| {
            let row = StatusRow { server, servers, outlook, now };
            self.columns.iter().map(|column| column.cell(&row)).collect::<Vec<_>>()
        });
        let mut text = table::render(&headings, &rows.collect::<Vec<_>>());
        if self.has_notes {
            let problems = servers.iter().flat_map(|server| describe_problems(server, servers));
            // In a pipe or file, each of them is one line.
            let width = std::io::stdout().is_terminal().then_some(NARROW_WIDTH);
            text.extend(problems.map(|problem| wrap(&problem, width.unwrap_or(usize::MAX))));
        }
        text
    }
}

/// What is said below the table about a server that failed lately or is listed twice.
fn describe_problems(server: &Server, servers: &[Server]) -> Vec<String> {
    let host = server.hostname();
    let has_failed = server.health.failures > 0;
    let failure = has_failed.then(|| format!("{host}: {}", describe_last_failure(server)));
    let twins = Some(describe_twins(server, servers)).filter(|twins| !twins.is_empty());
    let twins = twins.map(|twins| format!("{host}: is the same server as {twins}"));
    failure.into_iter().chain(twins).collect()
}

/// Lines of these words that are not longer than so many characters, unless a word is.
fn wrap(text: &str, width: usize) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in printable(text).split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > width && !line.trim().is_empty() {
            lines += &format!("{line}\n");
            line = "   ".to_owned();
        }
        line += &format!(" {word}");
    }
    format!("{lines}{line}\n")
}

/// Prints the state of all servers: as JSON, again and again, or once.
pub async fn run(
    balancer: &Balancer,
    table: &StatusTable,
    json: bool,
    watch: bool,
) -> Result<(), CommandFailure> {
    match (json, watch) {
        (true, _) => print_json(balancer).await,
        (_, true) => self::watch(balancer, table).await,
        _ => print_table(balancer, table).await,
    }
}

/// Prints the table of the original's `rake status`.
pub async fn print_rake_table(balancer: &Balancer) -> Result<(), CommandFailure> {
    let (servers, _) = list_sorted_servers(balancer).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(rake_table::render(&RAKE_HEADINGS, &table_rows(&servers)));
    }
    Ok(())
}

/// Prints the table.
async fn print_table(balancer: &Balancer, table: &StatusTable) -> Result<(), CommandFailure> {
    let (servers, outlooks) = list_sorted_servers(balancer).await?;
    print_line("");
    if !servers.is_empty() {
        print_text(table.render(&servers, outlooks, balancer.now()));
    }
    Ok(())
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
async fn watch(balancer: &Balancer, table: &StatusTable) -> Result<(), CommandFailure> {
    loop {
        let (servers, outlooks) = list_sorted_servers(balancer).await?;
        let users = twins::total_stats(&servers).users;
        let meetings = balancer.list_meetings(&[]).await?.len();
        let text = match servers.is_empty() {
            true => String::new(),
            false => table.render(&servers, outlooks, balancer.now()),
        };
        // Cursor to the top left, then clear the terminal.
        let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
        let page = format!("{clear}{text}\n {meetings} meetings placed, {users} users\n");
        if !print_text(page) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Prints all servers as JSON, without secrets.
async fn print_json(balancer: &Balancer) -> Result<(), CommandFailure> {
    let (servers, outlooks) = list_sorted_servers(balancer).await?;
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
                "health": server.health.state(balancer.now()),
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

/// All servers by their host names, and what is forecast for each.
async fn list_sorted_servers(
    balancer: &Balancer,
) -> Result<(Vec<Server>, Vec<ServerOutlook>), CommandFailure> {
    let mut servers = balancer.list_servers_with_outlook().await?;
    servers.sort_by(|(a, _), (b, _)| (a.hostname(), &a.id).cmp(&(b.hostname(), &b.id)));
    Ok(servers.into_iter().unzip())
}

fn status_name(server: &Server) -> &'static str {
    if server.is_online() { "online" } else { "offline" }
}

fn format_load(server: &Server) -> String {
    server.load.map(|load| format!("{load:?}")).unwrap_or_default()
}

/// The columns of the original.
fn table_rows(servers: &[Server]) -> Vec<Vec<Cell>> {
    servers
        .iter()
        .map(|server| {
            let text = |text: Option<&str>| Cell::text(printable(text.unwrap_or_default()));
            vec![
                text(Some(server.hostname())),
                Cell::text(server.state.name()),
                Cell::text(status_name(server)),
                Cell::text(server.stats.meetings.to_string()),
                Cell::text(server.stats.users.to_string()),
                Cell::text(server.stats.largest_meeting.to_string()),
                Cell::text(server.stats.videos.to_string()),
                Cell::Number(format_load(server)),
                text(server.bbb_version.as_deref()),
                text(server.tag.as_deref()),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_wrapped() {
        let text = format!("bbb1: {}", "word ".repeat(40));
        let wrapped = wrap(&text, NARROW_WIDTH);
        assert!(
            wrapped.lines().count() > 2 && wrapped.lines().all(|line| line.len() <= 80),
            "{wrapped}"
        );
        assert_eq!(wrapped.split_whitespace().count(), 41);
        assert_eq!(wrap("a b", 80), " a b\n");
    }

    #[test]
    fn usual_columns_fit_with_host_names_of_30_characters() {
        let cell = |text: &str| Cell::text(text);
        let row = [&"h".repeat(30), "disabled", "probation", "100", "10000", "10000.0"].map(cell);
        let headings = NARROW.map(Column::heading);
        let table = table::render(&headings, &[row.to_vec()]);
        assert!(table.lines().all(|line| line.len() <= NARROW_WIDTH), "{table}");
    }
}
