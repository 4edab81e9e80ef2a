//! Plays the cases of one profile, one after the other, against a running binary with simulated
//! servers.

use super::data::{ConformanceCase, SettingProfiles};
use super::import;
use super::node::YamlNode;
use super::normalizer::Normalizer;
use super::pool::CasePool;
use super::request;
use super::target::Target;
use crate::stores::TestStores;
use anyhow::Context;
use regex::Regex;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// The smallest number of servers, as in the recorder's pool.
const MIN_SERVERS: usize = 4;
/// The number of polls after which the servers of a case must be online.
const MAX_SETUP_POLLS: usize = 3;

pub(super) struct CasePlayer {
    target: Target,
    pool: CasePool,
    /// Whether the last case has left data that goes with a new store only.
    needs_new_store: bool,
}

impl CasePlayer {
    pub(super) async fn start(
        binary: &Path,
        stores: TestStores,
        profiles: &SettingProfiles,
        profile: &str,
        cases: &[&ConformanceCase],
    ) -> anyhow::Result<CasePlayer> {
        let max_servers =
            cases.iter().map(|case| case_servers(case).len()).max().unwrap_or_default();
        let pool = CasePool::start(max_servers.max(MIN_SERVERS)).await?;
        let target = Target::start(binary, stores, profiles.settings(profile)?).await?;
        Ok(CasePlayer { target, pool, needs_new_store: false })
    }

    /// Plays a case; returns the results of all steps that are compared.
    pub(super) async fn play_case(&mut self, case: &ConformanceCase) -> anyhow::Result<YamlNode> {
        let mut normalizer =
            Normalizer { case_words: case.spec.all_words(), ..Normalizer::default() };
        normalizer.pool = self.pool.address()?;
        self.set_up(case, &mut normalizer).await.context("setting up the case")?;
        let mut results = Vec::new();
        for step in case.spec.get("steps").map(YamlNode::items).unwrap_or_default() {
            let result = self.play_step(step, &mut normalizer).await;
            results.extend(result.with_context(|| step.lines().join(", "))?);
        }
        Ok(YamlNode::List(results))
    }

    async fn set_up(
        &mut self,
        case: &ConformanceCase,
        normalizer: &mut Normalizer,
    ) -> anyhow::Result<()> {
        if self.needs_new_store || self.target.remove_servers().await.is_err() {
            self.target.restart().await?;
        }
        let steps = case.spec.get("steps").map(YamlNode::items).unwrap_or_default();
        self.needs_new_store = case.spec.has("tenants") || steps.iter().any(dirties_store);
        self.pool.reset();
        for (name, secrets) in case.spec.get("tenants").map(YamlNode::pairs).unwrap_or_default() {
            let tenant = json!({"tenant": {"name": name, "secrets": secrets.to_json()}});
            let added = self.target.call_management("addTenant", Some(&tenant)).await?;
            normalizer.set_variable(&format!("tenant_{name}"), python_text(&added["tenant"]["id"]));
        }
        let servers = case_servers(case);
        for (number, server) in (1..).zip(&servers) {
            self.add_server(number, server, normalizer).await?;
        }
        let is_polled =
            case.spec.get("poll") != Some(&YamlNode::Bool(false)) && !servers.is_empty();
        for _ in 0..if is_polled { MAX_SETUP_POLLS } else { 0 } {
            self.target.poll_servers().await?;
            let all = self.target.call_management("getServers", None).await?;
            let mut all = all.as_array().into_iter().flatten();
            if all.all(|server| server["online"] == "online") {
                break;
            }
        }
        for (number, server) in (1..).zip(&servers) {
            if server.get_text("state").as_deref() == Some("cordon") {
                self.set_state(number, "cordon", normalizer).await?;
            }
        }
        self.pool.take_log();
        Ok(())
    }

    async fn add_server(
        &self,
        number: usize,
        server: &YamlNode,
        normalizer: &mut Normalizer,
    ) -> anyhow::Result<()> {
        let url = server.get_text("url").map_or_else(|| self.pool.url(number), Ok)?;
        let mut new = json!({"url": url, "secret": format!("secret{number}")});
        for key in ["tag", "load_multiplier"] {
            if let Some(value) = server.get(key) {
                new[key] = value.to_json();
            }
        }
        let added =
            self.target.call_management("addServer", Some(&json!({ "server": new }))).await?;
        normalizer.set_variable(&format!("server{number}"), python_text(&added["id"]));
        if let Some(users) = server.get_int("busy").filter(|users| *users > 0) {
            let ids = YamlNode::List(vec![YamlNode::Str(format!("busy{number}"))]);
            let busy =
                [("ids", ids), ("users", YamlNode::Int(users)), ("moderators", YamlNode::Int(0))];
            let busy = busy.map(|(key, value)| (key.to_owned(), value));
            self.pool.preload(&number.to_string(), &YamlNode::Map(busy.to_vec()))?;
        }
        if server.get_text("state").as_deref() != Some("disable") {
            self.set_state(number, "enable", normalizer).await?;
        }
        Ok(())
    }

    async fn set_state(
        &self,
        number: usize,
        state: &str,
        normalizer: &Normalizer,
    ) -> anyhow::Result<()> {
        let id = normalizer.variable(&format!("server{number}")).unwrap_or_default();
        let change = json!({"id": id, "server": {"state": state}});
        self.target.call_management("updateServer", Some(&change)).await?;
        Ok(())
    }

    /// Plays a step; returns its result, if it is compared.
    async fn play_step(
        &mut self,
        step: &YamlNode,
        normalizer: &mut Normalizer,
    ) -> anyhow::Result<Option<YamlNode>> {
        let get_text = |key: &str| step.get_text(key);
        if let Some(polls) = step.get_int("poll") {
            for _ in 0..polls {
                self.target.poll_servers().await?;
            }
            self.pool.take_log();
        } else if let Some(selection) = get_text("bbb") {
            self.pool.change_servers(&selection, step)?;
        } else if let Some(selection) = get_text("preload") {
            self.pool.preload(&selection, &normalizer.fill_node(step))?;
        } else if let Some(selection) = get_text("drop") {
            self.pool.drop_meetings(&selection, step)?;
        } else if let Some(archive) = step.get("import") {
            return Ok(Some(import::import_archive(archive, normalizer, &self.target).await?));
        } else if let Some(seconds) = get_text("wait") {
            tokio::time::sleep(Duration::from_secs_f64(seconds.parse()?)).await;
        } else if let Some(subject) = get_text("show") {
            return Ok(Some(match subject.as_str() {
                "files" => import::list_files(&self.target)?,
                _ => self.describe_servers(normalizer).await?,
            }));
        } else if let Some(call) = get_text("set") {
            let data = step.get("json").map(|json| normalizer.fill_node(json).to_json());
            self.target.call_management(&call, data.as_ref()).await?;
        } else {
            let result = self.send_request(step, normalizer).await?;
            return Ok((!step.is_truthy("quiet")).then_some(result));
        }
        Ok(None)
    }

    async fn send_request(
        &mut self,
        step: &YamlNode,
        normalizer: &mut Normalizer,
    ) -> anyhow::Result<YamlNode> {
        let request = request::build_request(step, normalizer)?;
        let response = self.target.send(&request).await?;
        for (name, pattern) in step.get("capture").map(YamlNode::pairs).unwrap_or_default() {
            let headers = response.headers.iter().map(|(name, value)| format!("{name}: {value}"));
            let headers = headers.collect::<Vec<_>>().join("\n");
            let text = format!("{headers}\n\n{}", String::from_utf8_lossy(&response.body));
            let found = Regex::new(&pattern.text().unwrap_or_default())?.captures(&text);
            let found =
                found.map_or_else(|| "not captured".to_owned(), |found| found[1].to_owned());
            normalizer.set_variable(name, found);
        }
        let with_body = !matches!(request.method.as_str(), "HEAD" | "OPTIONS");
        let mut result = normalizer.normalize_response(&response, with_body);
        let received = normalizer.normalize_requests(&self.pool.take_log());
        if !received.is_empty() {
            result.push(("backend".to_owned(), YamlNode::List(received)));
        }
        Ok(YamlNode::Map(result))
    }

    /// The servers, in the order in which the case has added them.
    async fn describe_servers(&self, normalizer: &Normalizer) -> anyhow::Result<YamlNode> {
        let servers = self.target.call_management("getServers", None).await?;
        let variable_name = |server: &Value| {
            let id = python_text(&server["id"]);
            let name = normalizer.variables.iter().rev().find(|(_, value)| *value == id);
            name.map(|(name, _)| name.clone())
        };
        let mut servers = servers.as_array().cloned().unwrap_or_default();
        servers
            .sort_by_cached_key(|server| variable_name(server).unwrap_or_else(|| "~".to_owned()));
        let line = |server: &Value| {
            let name = variable_name(server).unwrap_or_else(|| "{new}".to_owned());
            let [state, online, load, multiplier, tag, version] =
                ["state", "online", "load", "load_multiplier", "tag", "bbb_version"]
                    .map(|key| python_text(&server[key]));
            let text = format!(
                "{name} {state} {online} load={load} x{multiplier} tag={tag} bbb={version}"
            );
            YamlNode::Str(text)
        };
        let lines = servers.iter().map(line).collect();
        Ok(YamlNode::Map(vec![("servers".to_owned(), YamlNode::List(lines))]))
    }
}

fn case_servers(case: &ConformanceCase) -> Vec<YamlNode> {
    match case.spec.get("servers") {
        Some(servers) => servers.items().to_vec(),
        None => {
            let busy = YamlNode::Map(vec![("busy".to_owned(), YamlNode::Int(20))]);
            vec![YamlNode::Map(Vec::new()), busy]
        }
    }
}

/// Whether a step leaves recordings or tenants, which go with a new store only.
fn dirties_store(step: &YamlNode) -> bool {
    let calls = ["post", "set"].into_iter().filter_map(|key| step.get_text(key));
    step.has("import") || calls.into_iter().any(|call| call.contains("addTenant"))
}

/// A JSON scalar as Python prints it.
fn python_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "None".to_owned(),
        Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    }
}
