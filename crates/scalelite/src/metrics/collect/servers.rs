//! The servers of the pool, and the pool as a whole.

use std::collections::{HashMap, HashSet};

use app::App;
use app::admin::capacity::{MINUTES_AHEAD, PoolCapacity, forecast_capacity};
use app::health::POLL_JOB;
use app::ports::StoreError;
use app::state::FailureKind;
use domain::drain::DrainPhase;
use domain::server::ServerStats;
use domain::twins::normalize_url;
use domain::{AdminState, Server, ServerId, Timestamp};

use crate::metrics::definitions::MetricId;
use crate::metrics::values::MetricValues;

/// Longest version and tag that are shown, in characters.
const MAX_TEXT_CHARS: usize = 40;

/// Reads what the store knows of the servers.
pub(super) async fn collect(app: &App) -> Result<MetricValues, StoreError> {
    let mut values = MetricValues::default();
    let servers = app.pool.list_servers().await?;
    app.meters.retain(&servers);
    let capacity = forecast_capacity(app, &servers).await?;
    let now = app.clock.now();
    for (server, label) in servers.iter().zip(label_servers(&servers)) {
        describe_server(server, &label, now, &mut values);
        let multiplier = server.load_multiplier;
        if let Some(users) = capacity.peak_users.get(&server.id) {
            values.set(MetricId::ServerForecastLoad, &[&label], users * multiplier);
        }
        describe_work(app, &server.id, &label, &mut values);
    }
    describe_pool(&servers, &capacity, &mut values);
    let drains = app.drains.list_drains(false).await?;
    for phase in [DrainPhase::Planned, DrainPhase::Draining, DrainPhase::Away] {
        let count = drains.iter().filter(|drain| drain.phase == phase).count();
        values.set(MetricId::PoolDrains, &[phase.name()], count as f64);
    }
    if let Some(run) = app.periodic_jobs.find_last_run(POLL_JOB).await? {
        let age_ms = now.ms_since(run.started_at).max(0);
        values.set(MetricId::PollAge, &[], age_ms as f64 / 1e3);
    }
    Ok(values)
}

/// The labels of servers: the host of each, with its port if that is an unusual one. Entries with the same host also get their ids.
fn label_servers(servers: &[Server]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for server in servers {
        *counts.entry(authority(server)).or_default() += 1;
    }
    let label = |server: &Server| {
        let authority = authority(server);
        match counts.get(authority) {
            Some(1) | None => authority.to_owned(),
            Some(_) => format!("{authority}/{}", server.id),
        }
    };
    servers.iter().map(label).collect()
}

/// The host and port of a server's URL.
fn authority(server: &Server) -> &str {
    let rest = server.url.split_once("://").map_or(server.url.as_str(), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let default_port = if server.url.starts_with("https:") { ":443" } else { ":80" };
    authority.strip_suffix(default_port).unwrap_or(authority)
}

fn describe_server(server: &Server, label: &str, now: Timestamp, values: &mut MetricValues) {
    let text = |text: &Option<String>| -> String {
        text.iter().flat_map(|text| text.chars()).take(MAX_TEXT_CHARS).collect()
    };
    let (version, tag) = (text(&server.bbb_version), text(&server.tag));
    values.set(MetricId::ServerInfo, &[label, &server.id.0, &version, &tag], 1.0);
    values.set_whether(MetricId::ServerUp, &[label], server.is_online());
    let (state, health) = (server.state.name(), server.health.state(now).name());
    values.set(MetricId::ServerState, &[label, state, health], 1.0);
    let ServerStats { meetings, users, largest_meeting, videos } = server.stats;
    for (metric, number) in [
        (MetricId::ServerUsers, users),
        (MetricId::ServerMeetings, meetings),
        (MetricId::ServerVideos, videos),
        (MetricId::ServerLargestMeeting, largest_meeting),
    ] {
        values.set(metric, &[label], number.into());
    }
    if let Some(load) = server.load {
        values.set(MetricId::ServerLoad, &[label], load);
    }
    if let Some(max_users) = server.limits.max_users {
        values.set(MetricId::ServerMaxUsers, &[label], max_users.into());
    }
}

/// What this process has counted of a server.
fn describe_work(app: &App, server: &ServerId, label: &str, values: &mut MetricValues) {
    let meters = app.meters.server(server);
    if let Some(seconds) = meters.last_poll_s() {
        values.set(MetricId::ServerPoll, &[label], seconds);
    }
    for kind in FailureKind::ALL {
        values.count(MetricId::ServerFailures, &[label, kind.name()], meters.failures(kind));
    }
    values.times(MetricId::ServerCreates, &[label], meters.creates.read());
}

fn describe_pool(servers: &[Server], capacity: &PoolCapacity, values: &mut MetricValues) {
    for state in [AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled] {
        let count = servers.iter().filter(|server| server.state == state).count();
        values.set(MetricId::PoolServers, &[state.name()], count as f64);
    }
    values.set(MetricId::PoolServersAvailable, &[], capacity.available as f64);
    values.set(MetricId::PoolUnlimited, &[], capacity.unlimited as f64);
    let total = add_up(servers);
    values.set(MetricId::PoolUsers, &[], total.users.into());
    values.set(MetricId::PoolMeetings, &[], total.meetings.into());
    values.set(MetricId::PoolVideos, &[], total.videos.into());
    for (minutes, places) in MINUTES_AHEAD.iter().zip(capacity.free_places.iter().flatten()) {
        values.set(MetricId::PoolFreePlaces, &[&format!("{minutes}m")], places.floor());
    }
    if let Some(users) = capacity.largest_meeting {
        values.set(MetricId::PoolLargestFit, &[], users);
    }
}

/// Adds up the numbers of all servers as [`domain::twins::total_stats`] does, in less time than the square of their number.
fn add_up(servers: &[Server]) -> ServerStats {
    let mut total = ServerStats::default();
    let (mut urls, mut ids): (HashSet<String>, HashSet<&ServerId>) = Default::default();
    for server in servers {
        let is_known = server.twin_of.as_ref().is_some_and(|twin| ids.contains(twin))
            || urls.contains(&normalize_url(&server.url));
        if is_known {
            continue;
        }
        if server.is_online() {
            urls.insert(normalize_url(&server.url));
            ids.insert(&server.id);
        }
        total.meetings = total.meetings.saturating_add(server.stats.meetings);
        total.users = total.users.saturating_add(server.stats.users);
        total.videos = total.videos.saturating_add(server.stats.videos);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: &str, url: &str) -> Server {
        let mut server = Server::new(ServerId(id.to_owned()), url.to_owned(), "s".to_owned());
        (server.health.online, server.stats.users) = (true, 5);
        server
    }

    #[test]
    fn labels_are_hosts_and_no_two_servers_share_one() {
        let servers = [
            server("1", "https://bbb1.example/bigbluebutton/api"),
            server("2", "http://bbb2.example:8080/bigbluebutton/api"),
            server("3", "https://bbb3.example:443/api"),
            server("4", "https://bbb3.example/other/api"),
        ];
        let labels = label_servers(&servers);
        let expected = ["bbb1.example", "bbb2.example:8080", "bbb3.example/3", "bbb3.example/4"];
        assert_eq!(labels, expected);
    }

    #[test]
    fn a_server_that_is_listed_twice_counts_once() {
        let mut servers = vec![
            server("1", "https://bbb1.example/bigbluebutton/api"),
            server("2", "https://BBB1.example:443/bigbluebutton/api/"),
            server("3", "https://another.example/bigbluebutton/api"),
            server("4", "https://bbb4.example/bigbluebutton/api"),
        ];
        servers[2].twin_of = Some(ServerId("1".to_owned()));
        assert_eq!(add_up(&servers), ServerStats { users: 10, ..ServerStats::default() });
    }
}
