//! Administrators who list one server twice: under a second host name, knowingly or when they rename
//! it while it is in use, and under its URL in another spelling.

use app::App;
use app::admin::servers::{self, AdminError, NewServer};
use app::ports::{PoolStore, ServerChange};
use domain::{AdminState, ServerId};

use super::entries::twin_host;
use super::sim_run::SimRun;

/// Adds a server under its second host name, and enables it.
pub(crate) async fn add_twin(app: &App, sim: &SimRun, host: &str) -> Result<(), AdminError> {
    let twin = twin_host(host);
    let Some(secret) = secret_of(sim, host) else { return Ok(()) };
    let url = format!("http://{twin}/bigbluebutton/api");
    servers::add(app, NewServer { url, secret, ..NewServer::default() }).await?;
    sim.count_event("twins added");
    servers::update(app, &twin, ServerChange::with_state(AdminState::Enabled)).await.map(drop)
}

/// Renames a server in operation: the entry with the old name is cordoned, and one with the new name
/// is added.
pub(crate) async fn rename(app: &App, sim: &SimRun, host: &str) -> Result<(), AdminError> {
    servers::update(app, host, ServerChange::with_state(AdminState::Cordoned)).await?;
    sim.count_event("servers renamed");
    add_twin(app, sim, host).await
}

/// Tries to add a server whose URL is listed, in another spelling.
pub(crate) async fn add_spelling(app: &App, sim: &SimRun, host: &str) -> Result<(), AdminError> {
    let Some(secret) = secret_of(sim, host) else { return Ok(()) };
    let spelling = format!("http://{}:80/bigbluebutton//", host.to_ascii_uppercase());
    let id = format!("spelling-of-{host}");
    let new = NewServer { id: Some(id.clone()), url: spelling, secret, ..NewServer::default() };
    sim.count_event("spellings tried");
    let added = servers::add(app, new).await;
    // The other rules know no such entry. It may be there although the caller was told otherwise.
    let _ = PoolStore::remove_server(sim.store.as_ref(), &ServerId(id)).await;
    added.map(drop)
}

fn secret_of(sim: &SimRun, host: &str) -> Option<String> {
    sim.servers().get(host).map(|sim_server| sim_server.secret.clone())
}
