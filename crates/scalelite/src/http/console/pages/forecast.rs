//! *Forecast*: the users of each server in the next two hours, and those of the pool in the coming week.

use std::sync::Arc;

use app::forecaster::{self, forecast_server_users, forecast_week};
use askama::Template;
use domain::forecast::STEP_MS;
use domain::{Server, Timestamp};

use super::super::plot;
use super::super::show;
use super::super::view::{PageError, RenderedPage};
use super::{DisplayNames, server_link};
use crate::http::state::HttpState;

/// Servers that are shown at most.
const MAX_SERVERS: usize = 200;
/// Points of a forecast that are named in the table, in steps.
const SHOWN_STEPS: [usize; 4] = [3, 6, 12, 24];

#[derive(Template)]
#[template(path = "console/forecast.html")]
struct ForecastPage {
    plot: String,
    week: String,
    servers: Vec<ForecastRow>,
}

struct ForecastRow {
    host: String,
    link: String,
    users: u32,
    steps: Vec<String>,
    peak: String,
    limit: String,
}

pub(in super::super) async fn render(state: &Arc<HttpState>) -> Result<RenderedPage, PageError> {
    let app = &state.app;
    let now = app.clock.now();
    forecaster::refresh(app).await?;
    let forecast = forecast_server_users(app, now);
    let mut servers = app.pool.list_servers().await?;
    servers.sort_by(|one, other| one.hostname().cmp(other.hostname()));
    let mut total: Vec<f64> = Vec::new();
    for users in forecast.values() {
        total.resize(users.curve.points().len(), 0.0);
        for (sum, point) in total.iter_mut().zip(users.curve.points()) {
            *sum += f64::from(*point);
        }
    }
    let capacity = sum_limits(&servers);
    let time_of = |step: usize| now.0 + STEP_MS * i64::try_from(step).unwrap_or_default();
    let points: Vec<(f64, f64)> =
        total.iter().enumerate().map(|(step, users)| (time_of(step) as f64, *users)).collect();
    let frame = plot::Frame {
        title: "Users of the pool in the next two hours",
        x_range: (now.0 as f64, time_of(24) as f64),
        x_marks: (1..=4)
            .map(|half_hour| time_of(half_hour * 6))
            .map(|time| (time as f64, show::time_of_day(Timestamp(time))))
            .collect(),
        gap: 2.0 * STEP_MS as f64,
        limit: capacity,
    };
    let line = plot::Line { label: "users", class: "users", points };
    let names = DisplayNames::new(&servers);
    let rows = servers.iter().filter_map(|server| {
        let users = forecast.get(&server.id)?;
        let step = |step: &usize| users.curve.points().get(*step).copied().unwrap_or_default();
        Some(ForecastRow {
            host: names.find(server),
            link: server_link(&server.id.0),
            users: server.stats.users,
            steps: SHOWN_STEPS.iter().map(step).map(|users| format!("{users:.0}")).collect(),
            peak: format!("{:.0}", users.peak),
            limit: server
                .limits
                .max_users
                .map_or_else(|| "–".to_owned(), |limit| limit.to_string()),
        })
    });
    let page = ForecastPage {
        plot: plot::draw(&frame, &[line]),
        week: draw_week(&forecast_week(app, now), now, capacity),
        servers: rows.take(MAX_SERVERS).collect(),
    };
    RenderedPage::new("Forecast", &page, None)
}

/// The users that all servers together may have; `None` if one that gets meetings has no limit.
fn sum_limits(servers: &[Server]) -> Option<f64> {
    let available = servers.iter().filter(|server| server.accepts_meetings());
    let limits = available.map(|server| server.limits.max_users.map(f64::from));
    let limits: Vec<f64> = limits.collect::<Option<_>>()?;
    (!limits.is_empty()).then(|| limits.iter().sum())
}

/// Draws the coming week; nothing if no meeting is expected in it.
fn draw_week(users: &[f64], now: Timestamp, capacity: Option<f64>) -> String {
    if users.iter().all(|users| *users < 0.5) {
        return String::new();
    }
    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;
    let begin = now.0.div_euclid(HOUR_MS) * HOUR_MS;
    let at = |hour: usize| begin + HOUR_MS * i64::try_from(hour).unwrap_or_default();
    let midnight = now.0.div_euclid(DAY_MS) * DAY_MS;
    let noons = (0..8).map(|day| midnight + day * DAY_MS + DAY_MS / 2);
    let is_shown = |noon: &i64| *noon > begin && *noon < at(users.len());
    let frame = plot::Frame {
        title: "Users of the pool that are expected in the coming week",
        x_range: (begin as f64, at(users.len()) as f64),
        x_marks: noons
            .filter(is_shown)
            .map(|noon| (noon as f64, show::weekday(Timestamp(noon)).to_owned()))
            .collect(),
        gap: 2.0 * HOUR_MS as f64,
        limit: capacity,
    };
    let points = users.iter().enumerate().map(|(hour, users)| (at(hour) as f64, *users));
    plot::draw(&frame, &[plot::Line { label: "users", class: "users", points: points.collect() }])
}
