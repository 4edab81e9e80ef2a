//! Placing a meeting: look, choose by the domain, claim unless something has changed meanwhile.

use std::sync::atomic::Ordering;

use app::ports::{Located, PlaceRequest, Placed, StoreError};
use domain::placement::{Ask, choose};
use domain::{AdminState, Server, ServerId};
use serde_json::{Value, json};

use super::join::tenant;
use super::rows::{self, Fields};
use super::script::{CLAIM, LOOK};
use super::{RedisStore, TRIES_MAX, busy, records};

/// What a look at a meeting found.
enum Look {
    /// It is there.
    Known(Box<Located>),
    /// It is not, or yields: servers that may take it, their loads as Redis writes them, and those
    /// that have another tenant's meeting of its id.
    Free(Vec<Server>, Fields, Vec<ServerId>),
}

impl RedisStore {
    async fn look(&self, request: &PlaceRequest) -> Result<Look, StoreError> {
        let (now, token) = (request.now.0.to_string(), &request.claim.token);
        let found = self.call(&LOOK, &[tenant(&request.key), &request.key.id, &now, token]).await?;
        let mut found = rows::list(found);
        let what = if found.is_empty() { None } else { rows::text(&found.remove(0))? };
        match (what.as_deref(), <[_; 2]>::try_from(found)) {
            (Some("known"), Ok([meeting, server])) => {
                let located = rows::located(meeting, server)?;
                located.map(|located| Look::Known(Box::new(located))).ok_or_else(busy)
            }
            (Some("free"), Err(rest)) => match <[_; 4]>::try_from(rest) {
                Ok([loads, placed, revision, others]) => {
                    let revision = rows::text(&revision)?.unwrap_or_default();
                    let (servers, loads) =
                        self.open_servers(loads, rows::texts(placed)?, &revision).await?;
                    let others = rows::texts(others)?.into_iter().map(ServerId).collect();
                    Ok(Look::Free(servers, loads, others))
                }
                Err(_) => Err(rows::corrupt("a look of another length")),
            },
            _ => Err(rows::corrupt("a look that shows nothing")),
        }
    }

    /// The servers of that revision with these loads and as many meetings placed on each.
    async fn open_servers(
        &self,
        loads: redis::Value,
        placed: Vec<String>,
        revision: &str,
    ) -> Result<(Vec<Server>, Fields), StoreError> {
        let flat = rows::texts(loads)?;
        let names = flat.iter().step_by(2).cloned();
        let placed: Fields = names.zip(placed).collect();
        let loads: Fields =
            flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let mut servers = match self.recall(revision) {
            Some(servers) => servers,
            None => self.all_servers().await?,
        };
        let is_open = |one: &Server| one.online() && one.state == AdminState::Enabled;
        let listed = |one: &&Server| is_open(one) && loads.contains_key(&one.id.0);
        // The original may have added or enabled one since.
        if servers.iter().filter(listed).count() < loads.len() {
            servers = self.all_servers().await?;
        }
        for server in &mut servers {
            let count = placed.get(&server.id.0).and_then(|count| count.parse().ok());
            server.load = loads.get(&server.id.0).and_then(|load| load.parse().ok());
            server.placed = count.unwrap_or(server.placed);
        }
        Ok((servers, loads))
    }

    /// One try; nothing if others were faster.
    async fn try_to_place(&self, request: &PlaceRequest) -> Result<Option<Placed>, StoreError> {
        let (servers, loads, others) = match self.look(request).await? {
            Look::Known(located) => return Ok(Some(Placed::Known(*located))),
            Look::Free(servers, loads, others) => (servers, loads, others),
        };
        let ask = Ask { others, ..request.ask.clone() };
        let (server, reason) = match choose(&servers, &ask) {
            Ok(choice) => (choice.server.clone(), choice.reason),
            Err(refusal) => return Ok(Some(Placed::Refused(refusal))),
        };
        let load = loads.get(&server.id.0).map_or("", String::as_str);
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let claim = claim(request, &server, &reason, load, attempt);
        let [what, rest @ ..] = &rows::list(self.call(&CLAIM, &[claim.to_string()]).await?)[..]
        else {
            return Ok(None);
        };
        match (rows::text(what)?.as_deref(), rest) {
            (Some("won"), [bridge, load, placed]) => {
                let bridge = rows::text(bridge)?.unwrap_or_default();
                let load = rows::text(load)?.and_then(|load| load.parse().ok());
                let placed = rows::text(placed)?.and_then(|count| count.parse().ok()).unwrap_or(0);
                let meeting = request.clone().placed_on(server.id.clone(), bridge, reason);
                let server = Server { load, placed, ..server };
                Ok(Some(Placed::Won(Located { meeting, server })))
            }
            (Some("no bridge"), _) => Ok(Some(Placed::NoVoiceBridge)),
            _ => Ok(None),
        }
    }

    /// As many tries as it takes.
    pub(super) async fn find_place(&self, request: &PlaceRequest) -> Result<Placed, StoreError> {
        if let Some(placed) = self.try_to_place(request).await? {
            return Ok(placed);
        }
        let _alone = self.placing.lock().await;
        for _ in 0..TRIES_MAX {
            if let Some(placed) = self.try_to_place(request).await? {
                return Ok(placed);
            }
        }
        Err(busy())
    }
}

fn claim(request: &PlaceRequest, server: &Server, reason: &str, load: &str, attempt: u64) -> Value {
    let placed = request.clone().placed_on(server.id.clone(), String::new(), reason.to_owned());
    let attempt = attempt.to_string();
    let mut own = records::own_pairs(&placed);
    own.extend(records::claim_pairs(&placed));
    own.extend(["attempt".to_owned(), attempt.clone()]);
    json!({
        "meeting": records::record(&placed, &own),
        "load": load,
        "placed": server.placed.to_string(),
        "token": request.claim.token,
        "attempt": attempt,
        "now": request.now.0.to_string(),
        "bridges": request.voice_bridges,
        "endings": records::endings(&request.endings),
    })
}
