//! *Today*: what needs somebody, the servers, the largest meetings, imports, and the parts of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use app::App;
use app::admin::placement::{ServerOutlook, forecast_servers};
use app::health::PartReport;
use app::ports::ImportStage;
use app::sampling::list_samples;
use askama::Template;
use domain::health::HealthState;
use domain::samples::{POOL_SUBJECT, SampleSpan};
use domain::{AdminState, Server, Timestamp, twins};

use super::super::plot;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use super::{DisplayNames, meeting_link, server_link};
use crate::http::state::HttpState;

/// Rows that are shown at most; what is left out is counted.
const MAX_SERVERS: usize = 500;
const LARGEST_MEETINGS: usize = 10;
/// Archives that are looked at for the counts of imports.
const MAX_ARCHIVES: u32 = 1_000;
/// The limit that bars are drawn against if a server has none.
const USUAL_LIMIT: f64 = 200.0;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[derive(Template)]
#[template(path = "console/today.html")]
struct Today {
    /// What needs somebody: a sentence, and where to look.
    needs: Vec<(String, String)>,
    enabled: usize,
    online: usize,
    meetings: u32,
    users: u32,
    load: f64,
    plot: String,
    servers: Vec<PoolMember>,
    left_out: usize,
    largest: Vec<LargeMeeting>,
    imports: Vec<(&'static str, usize)>,
    parts: Vec<PartRow>,
}

struct PoolMember {
    host: String,
    link: String,
    state: &'static str,
    status: &'static str,
    tag: String,
    users: u32,
    upcoming: f64,
    meetings: u32,
    load: String,
    bar: String,
    answered: String,
    version: String,
}

struct LargeMeeting {
    id: String,
    link: String,
    host: String,
    users: u32,
    age: String,
}

struct PartRow {
    name: &'static str,
    status: &'static str,
    detail: String,
}

pub(in super::super) async fn render(state: &Arc<HttpState>) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    let mut servers = app.pool.list_servers().await?;
    servers.sort_by(|one, other| one.hostname().cmp(other.hostname()));
    let outlooks = forecast_servers(app, &servers).await?;
    let names = DisplayNames::new(&servers);
    let enabled = || servers.iter().filter(|server| server.state == AdminState::Enabled);
    let total = twins::total_stats(&servers);
    let imports = count_imports(app).await?;
    let parts = state.health.report();
    let rows = servers.iter().zip(&outlooks).take(MAX_SERVERS);
    let today = Today {
        needs: list_needs(&servers, &outlooks, &imports, &parts, now),
        enabled: enabled().count(),
        online: enabled().filter(|server| server.is_online()).count(),
        meetings: total.meetings,
        users: total.users,
        load: enabled().filter_map(|server| server.load).sum(),
        plot: draw_day(app, POOL_SUBJECT, "Users of the pool in the last 24 hours", None).await?,
        servers: rows
            .map(|(server, outlook)| PoolMember::new(server, names.find(server), outlook, now))
            .collect(),
        left_out: servers.len().saturating_sub(MAX_SERVERS),
        largest: list_largest_meetings(app, &servers, now).await?,
        imports: imports.into_iter().collect(),
        parts: parts.iter().map(PartRow::new).collect(),
    };
    RenderedPage::new("Today", &today, None)
}

impl PoolMember {
    fn new(server: &Server, host: String, outlook: &ServerOutlook, now: Timestamp) -> Self {
        let limit = server.limits.max_users.map(f64::from);
        let peak = outlook.expected_load / server.load_multiplier;
        Self {
            host,
            link: server_link(&server.id.0),
            state: server.state.name(),
            status: server.health.state(now).name(),
            tag: server.tag.clone().unwrap_or_default(),
            users: server.stats.users,
            upcoming: outlook.expected_users + outlook.upcoming_users,
            meetings: server.stats.meetings,
            load: server.load.map_or_else(|| "–".to_owned(), |load| format!("{load:.0}")),
            bar: plot::draw_bar(
                server.stats.users.into(),
                peak,
                limit.unwrap_or(USUAL_LIMIT),
                limit,
            ),
            answered: show::ago(server.health.answered_at, now),
            version: server.bbb_version.clone().unwrap_or_default(),
        }
    }
}

impl PartRow {
    fn new(part: &PartReport) -> Self {
        let (name, status) = (part.name, part.status());
        Self { name, status, detail: part.detail().unwrap_or_default().to_owned() }
    }
}

/// Says what needs somebody, the most urgent first.
fn list_needs(
    servers: &[Server],
    outlooks: &[ServerOutlook],
    imports: &BTreeMap<&'static str, usize>,
    parts: &[PartReport],
    now: Timestamp,
) -> Vec<(String, String)> {
    let names = DisplayNames::new(servers);
    let mut needs = Vec::new();
    if !servers.iter().any(Server::accepts_meetings) {
        needs.push(("No server takes new meetings.".to_owned(), "/scalelite/".to_owned()));
    }
    for part in parts.iter().filter(|part| part.detail().is_some()) {
        let detail = part.detail().unwrap_or_default();
        needs.push((format!("{}: {detail}", part.name), "#parts".to_owned()));
    }
    for server in servers.iter().filter(|server| server.state != AdminState::Disabled) {
        let (host, link) = (names.find(server), server_link(&server.id.0));
        let failure = server.health.last_failure.as_ref();
        let reason = failure.map_or(String::new(), |failure| format!(": {}", failure.reason));
        match server.health.state(now) {
            HealthState::Offline => needs.push((format!("{host} is offline{reason}"), link)),
            HealthState::Suspect => needs.push((format!("{host} fails{reason}"), link)),
            HealthState::Online | HealthState::Probation => {}
        }
        if server.twin_of.is_some() {
            needs.push((format!("{host} is listed twice"), server_link(&server.id.0)));
        }
    }
    for (server, outlook) in servers.iter().zip(outlooks) {
        let peak = outlook.expected_load / server.load_multiplier;
        if let Some(limit) = server.limits.max_users.filter(|limit| peak > f64::from(*limit)) {
            let host = names.find(server);
            let text = format!(
                "{host}: {peak:.0} users are expected within two hours, its limit is {limit}"
            );
            needs.push((text, server_link(&server.id.0)));
        }
    }
    let quarantined = imports.get(ImportStage::Quarantined.name()).copied().unwrap_or_default();
    if quarantined > 0 {
        let text = format!("{quarantined} archives of recordings cannot be imported");
        needs.push((text, "/scalelite/recordings".to_owned()));
    }
    needs
}

/// Counts archives by their stage, without those that are done.
async fn count_imports(app: &App) -> Result<BTreeMap<&'static str, usize>, PageError> {
    let mut counts = BTreeMap::new();
    if let Some(store) = &app.recording_store {
        for archive in store.list_archives(MAX_ARCHIVES).await? {
            if archive.stage != ImportStage::Done {
                *counts.entry(archive.stage.name()).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

async fn list_largest_meetings(
    app: &App,
    servers: &[Server],
    now: Timestamp,
) -> Result<Vec<LargeMeeting>, PageError> {
    let mut meetings = app.pool.list_meetings(None).await?;
    meetings.sort_by_key(|meeting| std::cmp::Reverse(meeting.load.users));
    let names = DisplayNames::new(servers);
    let row = |meeting: &domain::Meeting| {
        let server = servers.iter().find(|server| server.id == meeting.server);
        LargeMeeting {
            id: meeting.key.id.clone(),
            link: meeting_link(meeting.key.tenant.as_deref(), &meeting.key.id),
            host: server.map_or_else(String::new, |server| names.find(server)),
            users: meeting.load.users,
            age: show::duration(now.ms_since(meeting.placed_at)),
        }
    };
    Ok(meetings.iter().take(LARGEST_MEETINGS).map(row).collect())
}

/// Draws the users of a subject in the last 24 hours.
pub(super) async fn draw_day(
    app: &App,
    subject: &str,
    title: &str,
    limit: Option<f64>,
) -> Result<String, PageError> {
    let now = app.clock.now();
    let since = Timestamp(now.0 - DAY_MS);
    let samples = list_samples(app, SampleSpan::Minute, subject, since).await?;
    let points = |value: fn(&domain::samples::UsageSample) -> f64| {
        samples.iter().map(|(time, sample)| (time.0 as f64, value(sample))).collect()
    };
    let first_mark = since.0.div_euclid(4 * HOUR_MS) * 4 * HOUR_MS + 4 * HOUR_MS;
    let marks = (0..6).map(|number| first_mark + number * 4 * HOUR_MS);
    let frame = plot::Frame {
        title,
        x_range: (since.0 as f64, now.0 as f64),
        x_marks: marks
            .filter(|mark| *mark < now.0)
            .map(|mark| (mark as f64, show::time_of_day(Timestamp(mark))))
            .collect(),
        gap: 3.0 * 60_000.0,
        limit,
    };
    let users =
        plot::Line { label: "users", class: "users", points: points(|sample| sample.users.into()) };
    let meetings = plot::Line {
        label: "meetings",
        class: "meetings",
        points: points(|sample| sample.meetings.into()),
    };
    Ok(plot::draw(&frame, &[users, meetings]))
}
