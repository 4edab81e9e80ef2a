//! *Today*: what needs somebody, the servers, creates and joins of the last hour, the largest meetings, imports, and the parts of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use app::App;
use app::admin::placement::{ServerOutlook, forecast_servers};
use app::forecaster::forecast_server_users;
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
use crate::metrics::{MinuteCounts, RecentFailure};

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
    calls: RecentCalls,
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
    meetings: u32,
    load: String,
    bars: String,
    create: String,
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
    let forecast = forecast_server_users(app, now);
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
            .map(|(server, _)| {
                let curve = forecast.get(&server.id).map(|users| users.curve.points());
                PoolMember::new(app, server, names.find(server), curve.unwrap_or_default())
            })
            .collect(),
        left_out: servers.len().saturating_sub(MAX_SERVERS),
        calls: RecentCalls::new(state, now),
        largest: list_largest_meetings(app, &servers, now).await?,
        imports: imports.into_iter().collect(),
        parts: parts.iter().map(PartRow::new).collect(),
    };
    RenderedPage::new("Today", &today, None)
}

impl PoolMember {
    fn new(app: &App, server: &Server, host: String, curve: &[f32]) -> Self {
        let now = app.clock.now();
        let limit = server.limits.max_users.map(f64::from);
        let users = f64::from(server.stats.users);
        let later = |step: usize| curve.get(step).map_or(users, |users| f64::from(*users));
        let bars = [("now", users), ("in 15 min", later(3)), ("in 60 min", later(12))];
        let creates = app.meters.server(&server.id).creates.read();
        Self {
            host,
            link: server_link(&server.id.0),
            state: server.state.name(),
            status: server.health.state(now).name(),
            tag: server.tag.clone().unwrap_or_default(),
            users: server.stats.users,
            meetings: server.stats.meetings,
            load: server.load.map_or_else(|| "–".to_owned(), |load| format!("{load:.0}")),
            bars: plot::draw_bars(&bars, limit.unwrap_or(USUAL_LIMIT), limit),
            create: creates.mean_s().map_or_else(|| "–".to_owned(), |mean| format!("{mean:.1} s")),
            answered: show::ago(server.health.answered_at, now),
            version: server.bbb_version.clone().unwrap_or_default(),
        }
    }
}

/// Creates and joins of the last hour in this process.
struct RecentCalls {
    /// Creates and joins that succeeded, and those that failed.
    created: u32,
    joined: u32,
    create_failures: u32,
    join_failures: u32,
    plot: String,
    /// When, what, the key of the error, and the reason.
    failures: Vec<(String, &'static str, String, String)>,
}

impl RecentCalls {
    fn new(state: &HttpState, now: Timestamp) -> Self {
        let recent = &state.metrics.requests().recent;
        let minutes = recent.counts();
        let sum = |number: fn(&MinuteCounts) -> u32| -> u32 { minutes.iter().map(number).sum() };
        let begin = now.0 - 3_600_000;
        let first = i64::try_from(minutes.len()).unwrap_or_default();
        let points = |number: fn(&MinuteCounts) -> u32| {
            let at = |index: usize| {
                now.0 - (first - 1 - i64::try_from(index).unwrap_or_default()) * 60_000
            };
            let numbers = minutes.iter().map(number).enumerate();
            numbers.map(|(index, number)| (at(index) as f64, f64::from(number))).collect()
        };
        let marks = (1..=5).map(|number| Timestamp(begin + number * 600_000));
        let frame = plot::Frame {
            title: "Creates, joins and failures in each minute of the last hour",
            x_range: (begin as f64, now.0 as f64),
            x_marks: marks.map(|mark| (mark.0 as f64, show::time_of_day(mark))).collect(),
            gap: 90_000.0,
            limit: None,
        };
        let lines = [
            plot::Line { label: "joins", class: "users", points: points(|it| it.succeeded[1]) },
            plot::Line {
                label: "creates",
                class: "meetings",
                points: points(|it| it.succeeded[0]),
            },
            plot::Line {
                label: "failures",
                class: "failures",
                points: points(|it| it.failed[0].saturating_add(it.failed[1])),
            },
        ];
        let failure = |failure: RecentFailure| {
            let ms = i64::try_from(failure.age.as_millis()).unwrap_or(i64::MAX);
            let ago = format!("{} ago", show::duration(ms));
            (ago, failure.call, failure.result, failure.reason)
        };
        Self {
            created: sum(|it| it.succeeded[0]),
            joined: sum(|it| it.succeeded[1]),
            create_failures: sum(|it| it.failed[0]),
            join_failures: sum(|it| it.failed[1]),
            plot: plot::draw(&frame, &lines),
            failures: recent.failures().into_iter().map(failure).collect(),
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
