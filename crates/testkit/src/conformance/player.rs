//! Plays cases of one profile, one after the other, against one started binary and its pool.

use super::data::{Case, Profiles};
use super::import;
use super::node::Node;
use super::normal::Normal;
use super::pool::CasePool;
use super::request;
use super::target::Target;
use crate::stores::Stores;
use anyhow::Context;
use regex::Regex;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// As many servers as the recorder's pool had at least.
const LEAST_SERVERS: usize = 4;
/// Polls until the servers of a case have to be online.
const SETUP_POLLS: usize = 3;

pub(super) struct Player {
    target: Target,
    pool: CasePool,
    /// The last case left more behind than servers and their meetings.
    is_stained: bool,
}

impl Player {
    pub(super) async fn start(
        binary: &Path,
        stores: Stores,
        profiles: &Profiles,
        profile: &str,
        cases: &[&Case],
    ) -> anyhow::Result<Player> {
        let most = cases.iter().map(|case| servers_of(case).len()).max().unwrap_or_default();
        let pool = CasePool::start(most.max(LEAST_SERVERS)).await?;
        let target = Target::start(binary, stores, profiles.settings(profile)?).await?;
        Ok(Player { target, pool, is_stained: false })
    }

    /// The results of all steps that are compared.
    pub(super) async fn play(&mut self, case: &Case) -> anyhow::Result<Node> {
        let mut normal = Normal { words: case.spec.words(), ..Normal::default() };
        normal.pool = self.pool.address()?;
        self.set_up(case, &mut normal).await.context("setting the case up")?;
        let mut results = Vec::new();
        for step in case.spec.get("steps").map(Node::items).unwrap_or_default() {
            let result = self.step(step, &mut normal).await;
            results.extend(result.with_context(|| step.lines().join(", "))?);
        }
        Ok(Node::List(results))
    }

    async fn set_up(&mut self, case: &Case, normal: &mut Normal) -> anyhow::Result<()> {
        if self.is_stained || self.target.forget_servers().await.is_err() {
            self.target.restart().await?;
        }
        let steps = case.spec.get("steps").map(Node::items).unwrap_or_default();
        self.is_stained = case.spec.has("tenants") || steps.iter().any(leaves_stains);
        self.pool.reset();
        for (name, secrets) in case.spec.get("tenants").map(Node::pairs).unwrap_or_default() {
            let tenant = json!({"tenant": {"name": name, "secrets": secrets.to_json()}});
            let added = self.target.manage("addTenant", Some(&tenant)).await?;
            normal.set(&format!("tenant_{name}"), text_of(&added["tenant"]["id"]));
        }
        let servers = servers_of(case);
        for (number, server) in (1..).zip(&servers) {
            self.add_server(number, server, normal).await?;
        }
        let is_polled = case.spec.get("poll") != Some(&Node::Bool(false)) && !servers.is_empty();
        for _ in 0..if is_polled { SETUP_POLLS } else { 0 } {
            self.target.poll().await?;
            let all = self.target.manage("getServers", None).await?;
            let mut all = all.as_array().into_iter().flatten();
            if all.all(|server| server["online"] == "online") {
                break;
            }
        }
        for (number, server) in (1..).zip(&servers) {
            if server.text_of("state").as_deref() == Some("cordon") {
                self.set_state(number, "cordon", normal).await?;
            }
        }
        self.pool.take_log();
        Ok(())
    }

    async fn add_server(
        &self,
        number: usize,
        server: &Node,
        normal: &mut Normal,
    ) -> anyhow::Result<()> {
        let url = server.text_of("url").map_or_else(|| self.pool.url(number), Ok)?;
        let mut new = json!({"url": url, "secret": format!("secret{number}")});
        for key in ["tag", "load_multiplier"] {
            if let Some(value) = server.get(key) {
                new[key] = value.to_json();
            }
        }
        let added = self.target.manage("addServer", Some(&json!({ "server": new }))).await?;
        normal.set(&format!("server{number}"), text_of(&added["id"]));
        if let Some(users) = server.int_of("busy").filter(|users| *users > 0) {
            let ids = Node::List(vec![Node::Str(format!("busy{number}"))]);
            let busy = [("ids", ids), ("users", Node::Int(users)), ("moderators", Node::Int(0))];
            let busy = busy.map(|(key, value)| (key.to_owned(), value));
            self.pool.preload(&number.to_string(), &Node::Map(busy.to_vec()))?;
        }
        if server.text_of("state").as_deref() != Some("disable") {
            self.set_state(number, "enable", normal).await?;
        }
        Ok(())
    }

    async fn set_state(&self, number: usize, state: &str, normal: &Normal) -> anyhow::Result<()> {
        let id = normal.variable(&format!("server{number}")).unwrap_or_default();
        let change = json!({"id": id, "server": {"state": state}});
        self.target.manage("updateServer", Some(&change)).await?;
        Ok(())
    }

    /// What the step is compared by, if it is.
    async fn step(&mut self, step: &Node, normal: &mut Normal) -> anyhow::Result<Option<Node>> {
        let word = |key: &str| step.text_of(key);
        if let Some(polls) = step.int_of("poll") {
            for _ in 0..polls {
                self.target.poll().await?;
            }
            self.pool.take_log();
        } else if let Some(selection) = word("bbb") {
            self.pool.order(&selection, step)?;
        } else if let Some(selection) = word("preload") {
            self.pool.preload(&selection, &normal.filled(step))?;
        } else if let Some(selection) = word("drop") {
            self.pool.drop_meetings(&selection, step)?;
        } else if let Some(what) = step.get("import") {
            return Ok(Some(import::import(what, normal, &self.target).await?));
        } else if let Some(seconds) = word("wait") {
            tokio::time::sleep(Duration::from_secs_f64(seconds.parse()?)).await;
        } else if let Some(what) = word("show") {
            return Ok(Some(match what.as_str() {
                "files" => import::files(&self.target)?,
                _ => self.show_servers(normal).await?,
            }));
        } else if let Some(call) = word("set") {
            let data = step.get("json").map(|json| normal.filled(json).to_json());
            self.target.manage(&call, data.as_ref()).await?;
        } else {
            let result = self.request(step, normal).await?;
            return Ok((!step.truthy("quiet")).then_some(result));
        }
        Ok(None)
    }

    async fn request(&mut self, step: &Node, normal: &mut Normal) -> anyhow::Result<Node> {
        let request = request::build(step, normal)?;
        let answer = self.target.send(&request).await?;
        for (name, pattern) in step.get("capture").map(Node::pairs).unwrap_or_default() {
            let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}"));
            let headers = headers.collect::<Vec<_>>().join("\n");
            let text = format!("{headers}\n\n{}", String::from_utf8_lossy(&answer.body));
            let found = Regex::new(&pattern.text().unwrap_or_default())?.captures(&text);
            let found =
                found.map_or_else(|| "not captured".to_owned(), |found| found[1].to_owned());
            normal.set(name, found);
        }
        let with_body = !matches!(request.method.as_str(), "HEAD" | "OPTIONS");
        let mut result = normal.answer(&answer, with_body);
        let received = normal.received(&self.pool.take_log());
        if !received.is_empty() {
            result.push(("backend".to_owned(), Node::List(received)));
        }
        Ok(Node::Map(result))
    }

    /// The servers, in the order in which the case made them.
    async fn show_servers(&self, normal: &Normal) -> anyhow::Result<Node> {
        let servers = self.target.manage("getServers", None).await?;
        let known = |server: &Value| {
            let id = text_of(&server["id"]);
            let name = normal.variables.iter().rev().find(|(_, value)| *value == id);
            name.map(|(name, _)| name.clone())
        };
        let mut servers = servers.as_array().cloned().unwrap_or_default();
        servers.sort_by_cached_key(|server| known(server).unwrap_or_else(|| "~".to_owned()));
        let line = |server: &Value| {
            let name = known(server).unwrap_or_else(|| "{new}".to_owned());
            let [state, online, load, multiplier, tag, version] =
                ["state", "online", "load", "load_multiplier", "tag", "bbb_version"]
                    .map(|key| text_of(&server[key]));
            let text = format!(
                "{name} {state} {online} load={load} x{multiplier} tag={tag} bbb={version}"
            );
            Node::Str(text)
        };
        let lines = servers.iter().map(line).collect();
        Ok(Node::Map(vec![("servers".to_owned(), Node::List(lines))]))
    }
}

fn servers_of(case: &Case) -> Vec<Node> {
    match case.spec.get("servers") {
        Some(servers) => servers.items().to_vec(),
        None => {
            let busy = Node::Map(vec![("busy".to_owned(), Node::Int(20))]);
            vec![Node::Map(Vec::new()), busy]
        }
    }
}

/// Whether the step leaves recordings or tenants, which go with a new store only.
fn leaves_stains(step: &Node) -> bool {
    let calls = ["post", "set"].into_iter().filter_map(|key| step.text_of(key));
    step.has("import") || calls.into_iter().any(|call| call.contains("addTenant"))
}

/// A JSON scalar as Python would print it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    }
}
