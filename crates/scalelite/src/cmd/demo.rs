//! `demo`: runs the balancer in front of simulated servers, on a temporary store, with simulated
//! meetings. Its data is deleted when it ends.

use std::sync::Arc;
use std::time::Duration;

use app::App;
use app::admin::servers::{self, NewServer};
use app::admin::tokens::{self, NewToken};
use app::origin;
use app::ports::{Entropy, ServerChange};
use bbb::Query;
use bbb_sim::{BbbPool, BbbServer, Latency, PoolOptions, UserSchedule};
use domain::AdminState;
use domain::management::{Scope, Scopes};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;

use crate::background::{start_audit, start_forecasting, start_polling, start_sampling};
use crate::cli::DemoArgs;
use crate::config::values::{LogLevel, Seconds};
use crate::config::{Config, Sources, StoreSettings};
use crate::http::listen::Listener;
use crate::lifecycle::{Listeners, build_http_state, listen_for_signals, serve_until};
use crate::output::print_line;
use crate::wiring;
use crate::wiring::data_dir::Creation;

use super::sign::signed_url;
use super::{CommandFailure, build_runtime, start_serving_log};

/// Average time between the starts of two meetings, in simulated seconds.
const MEETING_INTERVAL_S: f64 = 60.0;
/// Meetings for each server that start immediately.
const INITIAL_MEETINGS_PER_SERVER: usize = 3;
/// Maximum number of running meetings for each server.
const MAX_MEETINGS_PER_SERVER: usize = 12;

/// Runs until Ctrl-C.
pub fn run(mut config: Config, sources: &Sources, demo: DemoArgs) -> Result<(), CommandFailure> {
    if !sources.is_set("RAILS_LOG_LEVEL") && !sources.is_set("LOG_LEVEL") {
        // A log line for each request would push the introduction off the terminal.
        config.log_level = LogLevel::Warn;
    }
    let _log = start_serving_log(&config, sources);
    super::serve::raise_open_file_limit();
    let dir = tempfile::Builder::new().prefix("scalelite-demo-").tempdir();
    let dir = dir.map_err(|error| CommandFailure(format!("ERROR: {error}")))?;
    config.data_dir = Some(dir.path().to_owned());
    config.poll_interval = Seconds(5.0);
    build_runtime(true)?.block_on(run_demo(&config, demo, dir.path()))
}

async fn run_demo(
    config: &Config,
    demo: DemoArgs,
    dir: &std::path::Path,
) -> Result<(), CommandFailure> {
    let failure = |error: String| CommandFailure(format!("ERROR: {error}"));
    let options = PoolOptions {
        servers: usize::from(demo.servers),
        latency: Latency::Fixed(Duration::from_millis(15)),
        ..PoolOptions::default()
    };
    let pool = BbbPool::start(options).await.map_err(|error| failure(error.to_string()))?;
    let wired = wiring::wire(config, &StoreSettings::embedded(), Creation::Everything)?;
    for server in pool.servers() {
        origin::run_automatically("demo", add_server(&wired.app, server)).await?;
    }
    let port = if config.bind.is_none() && config.port == 3000 && is_port_taken(3000).await {
        0
    } else {
        config.port
    };
    let listener = Listener::open(config.bind.as_ref(), port).await.map_err(failure)?;
    let url = listener.url();
    let (stopper, stop) = watch::channel(false);
    listen_for_signals(stopper).map_err(failure)?;
    let (app, interval) = (wired.app.clone(), Duration::from_millis(config.poll_interval.ms()));
    start_polling(&app, interval, &stop);
    start_forecasting(&app, &stop);
    start_sampling(&app, &stop);
    start_audit(&app, &stop);
    tokio::spawn(simulate_meetings(app.clone(), pool.servers().to_vec(), url.clone(), demo.speed));
    let (_, token) =
        tokens::create(&app, demo_token()).await.map_err(|error| failure(error.to_string()))?;
    print_introduction(&app, &url, dir, &pool, &token);
    let (_state, current) = watch::channel(Arc::new(build_http_state(config, &wired, None)));
    let listeners = Listeners { public: listener, tls: None, management: None };
    serve_until(config, current, listeners, stop).await;
    print_line("\nThe demo has ended; its data has been deleted.");
    Ok(())
}

/// The token that the introduction shows.
fn demo_token() -> NewToken {
    NewToken {
        name: "demo".to_owned(),
        scopes: Scopes::new([Scope::Admin]),
        tenant: None,
        lifetime_ms: None,
    }
}

async fn is_port_taken(port: u16) -> bool {
    tokio::net::TcpListener::bind(("::", port)).await.is_err()
}

async fn add_server(app: &App, server: &BbbServer) -> Result<(), CommandFailure> {
    let failure = |error: servers::AdminError| CommandFailure(format!("ERROR: {error}"));
    let new = NewServer {
        id: Some(format!("bbb{}", server.number())),
        url: server.url(),
        secret: server.secret(),
        ..NewServer::default()
    };
    let added = servers::add(app, new).await.map_err(failure)?;
    let enable = ServerChange::with_state(AdminState::Enabled);
    servers::update(app, &added.id.0, enable).await.map_err(failure)?;
    Ok(())
}

/// Prints how to use the demo.
fn print_introduction(app: &App, url: &str, dir: &std::path::Path, pool: &BbbPool, token: &str) {
    let secret = app.policy.secrets.first().map_or("", String::as_str);
    let create = sign_call(app, url, "create", &[("meetingID", "my-room"), ("name", "My room")]);
    let join = [("meetingID", "my-room"), ("fullName", "Ada"), ("role", "MODERATOR")];
    let join = sign_call(app, url, "join", &join);
    let meetings = sign_call(app, url, "getMeetings", &[]);
    let servers = pool.servers().len();
    let program = std::env::args().next().unwrap_or_else(|| "scalelite".to_owned());
    print_line(format!(
        "\n\
         The balancer listens at {url}, in front of {servers} simulated servers.\n\
         Simulated meetings start, fill and end automatically. Press Ctrl-C to stop.\n\n\
         Open the console, and sign in with this token:\n\
         \x20 {url}/scalelite/\n\
         \x20 {token}\n\n\
         Configure a front-end with:\n\
         \x20 URL:    {url}/bigbluebutton/\n\
         \x20 Secret: {secret}\n\n\
         Create a meeting, list all meetings, and join (the simulated server has no client to show):\n\
         \x20 curl '{create}'\n\
         \x20 curl '{meetings}'\n\
         \x20 curl -i '{join}'\n\n\
         Watch the pool in another terminal:\n\
         \x20 SCALELITE_DATA_DIR={} {program} status --watch\n",
        dir.display()
    ));
}

/// The signed URL of a call to the balancer.
fn sign_call(app: &App, url: &str, call: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = Query::default();
    for (name, value) in parameters {
        query.push(name, value);
    }
    signed_url(app, url, call, &query).unwrap_or_default()
}

/// Creates meetings through the balancer, as a front-end does, and ends them, without end.
async fn simulate_meetings(app: App, pool: Vec<BbbServer>, url: String, speed: u32) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let mut running: Vec<(String, i64)> = Vec::new();
    let mut number = 0_u64;
    loop {
        let now = app.clock.now();
        let (over, remaining) = running.into_iter().partition(|(_, end)| *end <= now.0);
        running = remaining;
        let mut calls: Vec<String> = over
            .into_iter()
            .map(|(id, _): (String, i64)| sign_call(&app, &url, "end", &[("meetingID", &id)]))
            .collect();
        let id = format!("meeting-{number}");
        if running.len() < MAX_MEETINGS_PER_SERVER * pool.len() {
            let name = format!("Meeting {number}");
            calls.push(sign_call(&app, &url, "create", &[("meetingID", &id), ("name", &name)]));
        }
        for call in calls {
            let Ok(uri) = call.parse() else { continue };
            if let Ok(response) = client.get(uri).await {
                let _ = response.into_body().collect().await;
            }
        }
        let duration_s = schedule_users(&pool, &id, number, speed, app.entropy.as_ref());
        running.push((id, now.plus_ms(i64::from(duration_s) * 1000).0));
        number += 1;
        // Until the initial meetings exist there is no pause, so that the pool is not empty for long.
        if running.len() > INITIAL_MEETINGS_PER_SERVER * pool.len() {
            let pause =
                MEETING_INTERVAL_S / f64::from(speed) * (0.5 + app.entropy.generate_fraction());
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
    }
}

/// Sets the users of a meeting over time, on every server, since it may be on any of them. Returns how
/// long the meeting lasts, in seconds.
fn schedule_users(
    pool: &[BbbServer],
    id: &str,
    seed: u64,
    speed: u32,
    entropy: &dyn Entropy,
) -> u32 {
    let size = 3 + (entropy.generate_fraction().powi(3) * 90.0) as u32;
    let duration_s = (2_700 + (entropy.generate_fraction() * 2_700.0) as u32) / speed.max(1);
    for server in pool {
        server.set_schedule(
            id,
            UserSchedule::lecture(size, 600 / speed.max(1), duration_s.max(1), seed),
        );
    }
    duration_s.max(1)
}
