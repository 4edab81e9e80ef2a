//! Servers: list, show, add, change, remove.

use app::App;
use app::admin::placement::{ServerOutlook, forecast_servers};
use app::admin::probe;
use app::admin::servers::{self as admin, AdminError, NewServer};
use app::ports::ServerChange;
use domain::{Server, ServerId, twins};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::endpoint::{Call, NoContent, Reply, etag};
use super::input::Nothing;
use super::paging::{Page, cut_page};
use super::problem::Problem;
use super::views::{nullable, show_time, to_record};

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Unknown(_) => Self::not_found("server"),
            AdminError::Store(error) => error.into(),
            AdminError::Exists(_) => Self::conflict("exists", error),
            AdminError::UrlTaken(..) => Self::conflict("url-taken", error),
            AdminError::BadUrl => Self::invalid_value("/url", error),
            AdminError::BadMultiplier => Self::invalid_value("/load_multiplier", error),
            AdminError::Incomplete => Self::invalid_value("", error),
        }
    }
}

/// A server, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Server")]
pub(super) struct ServerView {
    id: String,
    /// The URL of its BBB API.
    url: String,
    /// The URL that browsers use for joins, if it is another one.
    join_url: Option<String>,
    host: String,
    /// What the administrator wants: enabled, cordoned or disabled.
    state: &'static str,
    tag: Option<String>,
    load_multiplier: f64,
    max_meetings: Option<u32>,
    max_users: Option<u32>,
    /// 0 for servers that are used first.
    tier: u32,
    online: bool,
    /// online, suspect, offline or probation.
    health: &'static str,
    /// How many calls and polls in a row it has not answered.
    failures: u32,
    last_failure: Option<FailureView>,
    meetings: u32,
    users: u32,
    largest_meeting: u32,
    videos: u32,
    /// Absent while the server is unavailable.
    load: Option<f64>,
    /// Users that young meetings are still expected to draw.
    expected_users: f64,
    /// Users of meetings that are expected to be created soon.
    upcoming_users: f64,
    /// The highest load forecast for the next two hours.
    forecast_load: f64,
    bbb_version: Option<String>,
    /// Other entries of the pool that are the same server.
    same_as: Vec<String>,
    /// What the store keeps of it, without the secret; versions may add to it.
    record: Map<String, Value>,
}

/// Why a server did not answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
struct FailureView {
    /// When.
    at: String,
    reason: String,
}

/// The tag of the version of a server: of what administrators change.
pub(super) fn server_etag(server: &Server) -> String {
    let Server { id, url, join_url, secret, tag, state, load_multiplier, limits, .. } = server;
    etag(&(id, url, join_url, secret, tag, state, load_multiplier, limits))
}

fn view(app: &App, server: &Server, outlook: ServerOutlook, all: &[Server]) -> ServerView {
    let failure = server.health.last_failure.as_ref();
    ServerView {
        id: server.id.0.clone(),
        url: server.url.clone(),
        join_url: server.join_url.clone(),
        host: server.hostname().to_owned(),
        state: server.state.name(),
        tag: server.tag.clone(),
        load_multiplier: server.load_multiplier,
        max_meetings: server.limits.max_meetings,
        max_users: server.limits.max_users,
        tier: server.limits.tier,
        online: server.is_online(),
        health: server.health.state(app.clock.now()).name(),
        failures: server.health.failures,
        last_failure: failure.map(|failure| FailureView {
            at: show_time(failure.at),
            reason: failure.reason.clone(),
        }),
        meetings: server.stats.meetings,
        users: server.stats.users,
        largest_meeting: server.stats.largest_meeting,
        videos: server.stats.videos,
        load: server.load,
        expected_users: outlook.expected_users,
        upcoming_users: outlook.upcoming_users,
        forecast_load: outlook.expected_load,
        bbb_version: server.bbb_version.clone(),
        same_as: twins::list_twins(server, all).into_iter().map(|id| id.0.clone()).collect(),
        record: to_record(server),
    }
}

/// The answer that shows a server.
pub(super) async fn show(app: &App, server: Server) -> Result<Reply<ServerView>, Problem> {
    let all = app.pool.list_servers().await?;
    let tag = server_etag(&server);
    let outlook = forecast_servers(app, std::slice::from_ref(&server)).await?;
    let shown = view(app, &server, outlook.first().copied().unwrap_or_default(), &all);
    Ok(Reply::tagged(shown, tag))
}

/// Finds a server, and checks its version if the client names one.
pub(super) async fn find_version(call: &Call) -> Result<Server, Problem> {
    let server = admin::find(call.app(), call.part(0)).await?;
    call.check_version(&server_etag(&server))?;
    Ok(server)
}

/// Which servers are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerQuery {
    /// Only those in this state.
    state: Option<StateName>,
    /// Only those with this tag.
    #[schemars(length(max = 255))]
    tag: Option<String>,
    /// Entries of a page.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where the page begins: `next` of the one before.
    #[schemars(length(max = 2000), regex(pattern = r"^([0-9a-f]{2})*$"))]
    cursor: Option<String>,
}

/// A state that administrators set.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StateName {
    Enabled,
    Cordoned,
    Disabled,
}

impl StateName {
    fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Cordoned => "cordoned",
            Self::Disabled => "disabled",
        }
    }
}

pub(super) async fn list(
    call: Call,
    query: ServerQuery,
    _: Nothing,
) -> Result<Reply<Page<ServerView>>, Problem> {
    let app = call.app();
    let all = app.pool.list_servers().await?;
    let is_wanted = |server: &&Server| {
        query.state.is_none_or(|state| state.name() == server.state.name())
            && query.tag.as_ref().is_none_or(|tag| server.tag.as_ref() == Some(tag))
    };
    let wanted: Vec<Server> = all.iter().filter(is_wanted).cloned().collect();
    let page =
        cut_page(wanted, |server| server.id.0.clone(), query.limit, query.cursor.as_deref())?;
    let mut outlooks = forecast_servers(app, &page.items).await?.into_iter();
    let page = page.map(|server| view(app, &server, outlooks.next().unwrap_or_default(), &all));
    Ok(page.into())
}

pub(super) async fn get(call: Call, _: Nothing, _: Nothing) -> Result<Reply<ServerView>, Problem> {
    let server = admin::find(call.app(), call.part(0)).await?;
    show(call.app(), server).await
}

/// A server to add.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewServer")]
pub(super) struct NewServerBody {
    /// The URL of its BBB API, as `bbb-conf --secret` prints it, with `api` appended.
    #[schemars(length(max = 2000), regex(pattern = r"^https?://[A-Za-z0-9]"))]
    url: String,
    /// Its secret. It is never shown.
    #[schemars(length(min = 1, max = 1000), regex(pattern = r"^[!-~]+$"))]
    secret: String,
    /// The URL that browsers use for joins, if it is another one.
    #[schemars(length(max = 2000), regex(pattern = r"^https?://[A-Za-z0-9]"))]
    join_url: Option<String>,
    /// Reserves it for creates that ask for this tag.
    #[schemars(length(max = 255))]
    tag: Option<String>,
    /// How much more a user weighs there than on a normal server.
    #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0))]
    load_multiplier: Option<f64>,
    #[schemars(range(max = 1_000_000))]
    max_meetings: Option<u32>,
    #[schemars(range(max = 1_000_000))]
    max_users: Option<u32>,
    #[schemars(range(max = 1_000))]
    tier: Option<u32>,
    /// Add it even if it does not answer, or not as a BBB server that accepts the secret.
    #[serde(default)]
    force: bool,
}

/// Checks a URL in the body, at this place.
fn check_url(pointer: &str, url: &str) -> Result<(), Problem> {
    admin::check_url(url).map_err(|error| Problem::invalid_value(pointer, error))
}

pub(super) async fn add(
    call: Call,
    _: Nothing,
    body: NewServerBody,
) -> Result<Reply<ServerView>, Problem> {
    let app = call.app();
    check_url("/url", &body.url)?;
    body.join_url.as_deref().map_or(Ok(()), |url| check_url("/join_url", url))?;
    admin::check_url_is_free(&app.pool.list_servers().await?, &body.url, None)?;
    let asked = Server::new(ServerId(String::new()), body.url.clone(), body.secret.clone());
    if !body.force {
        let checked = probe::check(app, &asked).await;
        checked.map_err(|unusable| Problem::conflict("server-unusable", unusable))?;
    }
    let new = NewServer {
        id: None,
        url: body.url,
        secret: body.secret,
        tag: body.tag,
        load_multiplier: body.load_multiplier,
    };
    let mut server = admin::add(app, new).await?;
    let rest = ServerChange {
        join_url: body.join_url.map(Some),
        max_meetings: body.max_meetings.map(Some),
        max_users: body.max_users.map(Some),
        tier: body.tier,
        ..ServerChange::default()
    };
    if rest != ServerChange::default() {
        server = admin::update(app, &server.id.0, rest).await?;
    }
    show(app, server).await
}

/// A change of a server: fields that are not given stay as they are, and null removes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ServerChange")]
pub(super) struct ServerPatch {
    /// Its secret. It is never shown.
    #[schemars(length(min = 1, max = 1000), regex(pattern = r"^[!-~]+$"))]
    secret: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(
        with = "Option<String>",
        length(max = 2000),
        regex(pattern = r"^https?://[A-Za-z0-9]")
    )]
    join_url: Option<Option<String>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<String>", length(max = 255))]
    tag: Option<Option<String>>,
    #[schemars(range(max = 1_000_000.0), extend("exclusiveMinimum" = 0))]
    load_multiplier: Option<f64>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<u32>", range(max = 1_000_000))]
    max_meetings: Option<Option<u32>>,
    #[serde(default, deserialize_with = "nullable")]
    #[schemars(with = "Option<u32>", range(max = 1_000_000))]
    max_users: Option<Option<u32>>,
    #[schemars(range(max = 1_000))]
    tier: Option<u32>,
}

pub(super) async fn update(
    call: Call,
    _: Nothing,
    body: ServerPatch,
) -> Result<Reply<ServerView>, Problem> {
    find_version(&call).await?;
    if let Some(Some(url)) = &body.join_url {
        check_url("/join_url", url)?;
    }
    let change = ServerChange {
        url: None,
        join_url: body.join_url,
        secret: body.secret,
        tag: body.tag.map(|tag| tag.filter(|tag| !tag.is_empty())),
        state: None,
        load_multiplier: body.load_multiplier,
        max_meetings: body.max_meetings,
        max_users: body.max_users,
        tier: body.tier,
    };
    let server = admin::update(call.app(), call.part(0), change).await?;
    show(call.app(), server).await
}

/// Whether something is done although users are affected.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForceQuery {
    /// Do it although users are in meetings there.
    #[serde(default)]
    force: bool,
}

pub(super) async fn remove(
    call: Call,
    query: ForceQuery,
    _: Nothing,
) -> Result<Reply<NoContent>, Problem> {
    let server = find_version(&call).await?;
    if !query.force {
        require_empty(call.app(), &server).await?;
    }
    admin::remove(call.app(), &server.id.0).await?;
    Ok(NoContent.into())
}

/// Refuses what would affect users in meetings of a server.
pub(super) async fn require_empty(app: &App, server: &Server) -> Result<(), Problem> {
    let occupancy = probe::count_users(app, server).await?;
    if occupancy.users == 0 {
        return Ok(());
    }
    let (users, meetings) = (occupancy.users, occupancy.meetings);
    let detail = format!("{users} users are in {meetings} meetings there; `force` does it anyway");
    Err(Problem::conflict("occupied", detail))
}
