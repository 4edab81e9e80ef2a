//! Servers, here and there.

use app::admin::placement::{ServerOutlook, forecast_servers};
use app::admin::probe::{self, Occupancy};
use app::admin::servers::{self, NewServer, PanicOptions};
use app::backend::CallOptions;
use app::ports::{CallPriority, ServerChange};
use domain::{AdminState, Server, ServerId};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::{RecordedMeetingAnswer, ServerAnswer};
use super::remote::{RemoteBalancer, RemoteError, segment};
use super::{Balancer, CommandFailure};
use crate::cmd::servers::{admin_failure, unknown_server};

/// Who is in the meetings of a server.
#[derive(Deserialize)]
struct OccupancyAnswer {
    meetings: usize,
    users: u64,
    is_current: bool,
}

/// Meetings as a server reports them.
#[derive(Deserialize)]
struct ReportedAnswer {
    names: Vec<String>,
}

/// The path of a server.
pub(super) fn path(id: &str) -> String {
    format!("/servers/{}", segment(id))
}

/// The failure of a request about a server.
pub(super) fn failure(id: &str) -> impl Fn(RemoteError) -> CommandFailure + '_ {
    move |error| if error.is("not-found") { unknown_server(id) } else { error.into() }
}

impl Balancer {
    /// All servers.
    pub async fn list_servers(&self) -> Result<Vec<Server>, CommandFailure> {
        match self {
            Self::Here(context) => Ok(context.app.pool.list_servers().await?),
            Self::There(_) => {
                let list = self.list_servers_with_outlook().await?;
                Ok(list.into_iter().map(|(server, _)| server).collect())
            }
        }
    }

    /// All servers, each with what is forecast for it.
    pub async fn list_servers_with_outlook(
        &self,
    ) -> Result<Vec<(Server, ServerOutlook)>, CommandFailure> {
        match self {
            Self::Here(context) => {
                let servers = context.app.pool.list_servers().await?;
                let outlooks = forecast_servers(&context.app, &servers).await?;
                Ok(servers.into_iter().zip(outlooks).collect())
            }
            Self::There(remote) => {
                let list: Vec<ServerAnswer> = remote.list("/servers", &[]).await?;
                let with_outlook = |it: ServerAnswer| {
                    let outlook = it.outlook();
                    (it.into_server(), outlook)
                };
                Ok(list.into_iter().map(with_outlook).collect())
            }
        }
    }

    /// The server with this id.
    pub async fn find_server(&self, id: &str) -> Result<Server, CommandFailure> {
        match self {
            Self::Here(context) => servers::find(&context.app, id).await.map_err(admin_failure),
            Self::There(remote) => {
                let found = remote.get::<ServerAnswer>(&path(id), &[]).await;
                found.map(ServerAnswer::into_server).map_err(failure(id))
            }
        }
    }

    /// Why a server that is to be added cannot be used; `None` if it can, or if another balancer asks it while it adds it.
    pub async fn probe_new_server(
        &self,
        url: &str,
        secret: &str,
    ) -> Result<Option<String>, CommandFailure> {
        let Self::Here(context) = self else { return Ok(None) };
        let known = context.app.pool.list_servers().await?;
        servers::check_url_is_free(&known, url, None).map_err(admin_failure)?;
        let server = Server::new(ServerId(String::new()), url.to_owned(), secret.to_owned());
        let checked = probe::check(&context.app, &server).await;
        Ok(checked.err().map(|unusable| unusable.to_string()))
    }

    /// Adds a server. Another balancer refuses one that cannot be used, unless this is forced.
    pub async fn add_server(&self, new: NewServer, force: bool) -> Result<Server, CommandFailure> {
        let remote = match self {
            Self::Here(context) => {
                return servers::add(&context.app, new).await.map_err(admin_failure);
            }
            Self::There(remote) => remote,
        };
        let NewServer { url, secret, tag, load_multiplier, .. } = new;
        let mut body = json!({ "url": url, "secret": secret, "force": force });
        if let Some(tag) = tag {
            body["tag"] = json!(tag);
        }
        if let Some(multiplier) = load_multiplier {
            body["load_multiplier"] = json!(multiplier);
        }
        let added = remote.post::<ServerAnswer>("/servers", &body).await;
        let added = added.map_err(|error| match error.is("server-unusable") {
            true => not_added(error.detail()),
            false => error.into(),
        });
        added.map(ServerAnswer::into_server)
    }

    /// Changes a server.
    pub async fn update_server(
        &self,
        id: &str,
        change: ServerChange,
    ) -> Result<Server, CommandFailure> {
        match self {
            Self::Here(context) => {
                servers::update(&context.app, id, change).await.map_err(admin_failure)
            }
            Self::There(remote) => {
                let updated = update_there(remote, id, change).await;
                updated.map(ServerAnswer::into_server).map_err(failure(id))
            }
        }
    }

    /// Removes a server; returns how many meetings it had.
    pub async fn remove_server(&self, id: &str) -> Result<usize, CommandFailure> {
        match self {
            Self::Here(context) => {
                let removed = servers::remove(&context.app, id).await.map_err(admin_failure)?;
                Ok(removed.len())
            }
            Self::There(remote) => {
                let meetings = list_meetings_there(remote, id).await?;
                remote.delete(&path(id), &[("force", "true")]).await.map_err(failure(id))?;
                Ok(meetings.len())
            }
        }
    }

    /// Disables a server, and clears its meetings if `clear` is set; returns the ids of these.
    pub async fn disable_server(
        &self,
        id: &str,
        clear: bool,
    ) -> Result<Vec<String>, CommandFailure> {
        match self {
            Self::Here(context) => {
                // Before its meetings are cleared, so that no new ones are placed on it meanwhile.
                let disable = ServerChange::with_state(AdminState::Disabled);
                let server =
                    servers::update(&context.app, id, disable).await.map_err(admin_failure)?;
                if !clear {
                    return Ok(Vec::new());
                }
                let cleared = servers::clear_meetings(&context.app, &server, false).await;
                let cleared = cleared.map_err(admin_failure)?;
                Ok(cleared.into_iter().map(|meeting| meeting.key.id).collect())
            }
            Self::There(remote) => {
                let meetings = match clear {
                    true => list_meetings_there(remote, id).await?,
                    false => Vec::new(),
                };
                let body = json!({ "force": true });
                let path = format!("{}/disable", path(id));
                remote.post::<Value>(&path, &body).await.map_err(failure(id))?;
                Ok(meetings.into_iter().map(|meeting| meeting.record.key.id).collect())
            }
        }
    }

    /// Ends all meetings of a server, and disables it.
    pub async fn panic_server(
        &self,
        id: &str,
        options: PanicOptions,
    ) -> Result<(), CommandFailure> {
        match self {
            Self::Here(context) => {
                servers::panic(&context.app, id, options).await.map(drop).map_err(admin_failure)
            }
            Self::There(remote) => {
                let PanicOptions { keep_state, skip_end_calls } = options;
                let body = json!({ "keep_state": keep_state, "skip_end_calls": skip_end_calls });
                let path = format!("{}/panic", path(id));
                remote.post::<Value>(&path, &body).await.map(drop).map_err(failure(id))
            }
        }
    }

    /// Who is in the meetings of a server.
    pub async fn count_users(&self, server: &Server) -> Result<Occupancy, CommandFailure> {
        match self {
            Self::Here(context) => Ok(probe::count_users(&context.app, server).await?),
            Self::There(remote) => {
                let id = server.id.0.as_str();
                let path = format!("{}/occupancy", path(id));
                let answer =
                    remote.get::<OccupancyAnswer>(&path, &[]).await.map_err(failure(id))?;
                let OccupancyAnswer { meetings, users, is_current } = answer;
                Ok(Occupancy { meetings, users, is_current })
            }
        }
    }

    /// The names of the meetings that a server reports, or why it reports none.
    pub async fn list_reported_meetings(
        &self,
        server: &Server,
    ) -> Result<Result<Vec<String>, String>, CommandFailure> {
        let context = match self {
            Self::Here(context) => context,
            Self::There(remote) => {
                let path = format!("{}/reported-meetings", path(&server.id.0));
                return match remote.get::<ReportedAnswer>(&path, &[]).await {
                    Ok(answer) => Ok(Ok(answer.names)),
                    Err(error) if error.is("server-failed") => Ok(Err(error.detail().to_owned())),
                    Err(error) => Err(failure(&server.id.0)(error)),
                };
            }
        };
        let timeouts = context.app.policy.timeouts_for(server.is_online());
        let options = CallOptions { priority: CallPriority::Internal, timeouts };
        let response = context.app.fetch_meetings(server, options).await;
        let list = response.map_err(|error| error.to_string()).and_then(|response| {
            context.app.read_meeting_list(&response).map_err(|error| error.to_string())
        });
        Ok(list.map(|list| list.meetings.into_iter().map(|meeting| meeting.name).collect()))
    }
}

/// The failure to add a server that cannot be used.
pub fn not_added(reason: &str) -> CommandFailure {
    CommandFailure(format!(
        "ERROR: {reason}. The server was not added; --force adds it nevertheless"
    ))
}

async fn list_meetings_there(
    remote: &RemoteBalancer,
    server: &str,
) -> Result<Vec<RecordedMeetingAnswer>, CommandFailure> {
    match remote.list("/meetings", &[("server", server)]).await {
        // A token may change servers and not see meetings: then they are not named.
        Err(error) if error.is("insufficient-scope") => Ok(Vec::new()),
        listed => Ok(listed?),
    }
}

/// Changes what the state is not, and then the state.
async fn update_there(
    remote: &RemoteBalancer,
    id: &str,
    change: ServerChange,
) -> Result<ServerAnswer, RemoteError> {
    let state = change.state;
    let body = to_body(change);
    let mut answer = None;
    if state.is_none() || body.as_object().is_some_and(|fields| !fields.is_empty()) {
        let patched = remote.change(Method::PATCH, &path(id), Some(&body)).await?;
        answer = Some(patched);
    }
    if let Some(state) = state {
        let (action, body) = match state {
            AdminState::Enabled => ("enable", json!({})),
            AdminState::Cordoned => ("cordon", json!({})),
            AdminState::Disabled => ("disable", json!({ "force": true })),
        };
        return remote.post(&format!("{}/{action}", path(id)), &body).await;
    }
    remote.read_value(answer.unwrap_or_default())
}

fn to_body(change: ServerChange) -> Value {
    let ServerChange {
        join_url, secret, tag, load_multiplier, max_meetings, max_users, tier, ..
    } = change;
    let fields = [
        ("join_url", join_url.map(|url| json!(url))),
        ("secret", secret.map(|secret| json!(secret))),
        ("tag", tag.map(|tag| json!(tag))),
        ("load_multiplier", load_multiplier.map(|multiplier| json!(multiplier))),
        ("max_meetings", max_meetings.map(|limit| json!(limit))),
        ("max_users", max_users.map(|limit| json!(limit))),
        ("tier", tier.map(|tier| json!(tier))),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}
