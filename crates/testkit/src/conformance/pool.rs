//! The simulated servers, controlled by the steps of cases.

use super::node::YamlNode;
use anyhow::{Context, bail};
use bbb_sim::{Algorithm, BbbPool, Fault, FaultMode, Latency, PoolOptions, SimClock};
use bbb_sim::{BbbServer, Preload, RecordedRequest, Strictness};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Simulated servers on one port, with the behavior that each was given by earlier steps: a step
/// changes only what it names.
pub(super) struct CasePool {
    pool: BbbPool,
    behaviors: Vec<ServerBehavior>,
}

#[derive(Clone)]
struct ServerBehavior {
    mode: String,
    only: Option<Vec<String>>,
    key: String,
    message: String,
}

impl Default for ServerBehavior {
    fn default() -> ServerBehavior {
        ServerBehavior {
            mode: "ok".to_owned(),
            only: None,
            key: "internalError".to_owned(),
            message: "Something broke".to_owned(),
        }
    }
}

impl CasePool {
    pub(super) async fn start(servers: usize) -> anyhow::Result<CasePool> {
        let options = PoolOptions {
            servers,
            clock: SimClock::Real,
            strictness: Strictness::Recorded,
            latency: Latency::None,
            shared_port: true,
        };
        let pool = BbbPool::start(options).await?;
        Ok(CasePool { pool, behaviors: vec![ServerBehavior::default(); servers] })
    }

    /// Host and port of all servers.
    pub(super) fn address(&self) -> anyhow::Result<String> {
        let url = self.server(1)?.url();
        let rest = url.split_once("://").map(|(_, rest)| rest.to_owned());
        let address = rest.and_then(|rest| Some(rest.split_once('/')?.0.to_owned()));
        address.with_context(|| format!("no address in {url}"))
    }

    fn server(&self, number: usize) -> anyhow::Result<&BbbServer> {
        let index = number.checked_sub(1).context("servers count from 1")?;
        self.pool.servers().get(index).with_context(|| format!("no server {number} in the pool"))
    }

    pub(super) fn url(&self, number: usize) -> anyhow::Result<String> {
        Ok(self.server(number)?.url())
    }

    /// Restores the state of the start: no meetings, no faults, the first secrets, an empty log.
    pub(super) fn reset(&mut self) {
        self.pool.reset(Latency::None);
        self.behaviors.fill(ServerBehavior::default());
    }

    pub(super) fn take_log(&self) -> Vec<RecordedRequest> {
        let all = self.pool.servers().iter().flat_map(BbbServer::take_log);
        all.filter(|request| request.header("x-lab").is_none()).collect()
    }

    /// Changes servers: their faults, latency, secret, version and checksum algorithms.
    pub(super) fn change_servers(
        &mut self,
        selection: &str,
        step: &YamlNode,
    ) -> anyhow::Result<()> {
        for number in self.parse_selection(selection)? {
            let behavior = self.behaviors.get_mut(number - 1).context("no such server")?;
            behavior.apply_step(step);
            let fault = behavior.to_fault()?;
            let server = self.server(number)?;
            match fault {
                Some(fault) => server.set_fault(fault),
                None => server.clear_fault(),
            }
            if let Some(secret) = step.get_text("secret") {
                server.set_secret(&secret);
            }
            if let Some(version) = step.get_text("version") {
                server.set_version(&version);
            }
            if let Some(latency_ms) = step.get_text("latency_ms") {
                let delay = Duration::from_secs_f64(latency_ms.parse::<f64>()? / 1000.0);
                server.set_latency(Latency::Fixed(delay));
            }
            if let Some(names) = step.get("algs") {
                let names = names.items().iter().filter_map(YamlNode::text);
                let known =
                    names.map(|name| parse_algorithm(&name)).collect::<anyhow::Result<Vec<_>>>()?;
                server.set_algorithms(&known);
            }
        }
        Ok(())
    }

    /// Starts meetings on servers without the balancer.
    pub(super) fn preload(&self, selection: &str, step: &YamlNode) -> anyhow::Result<()> {
        let count = |key: &str, default: u32| -> anyhow::Result<u32> {
            step.get_int(key).map_or(Ok(default), |given| Ok(u32::try_from(given)?))
        };
        let meta = step.get("meta").map(YamlNode::pairs).unwrap_or_default();
        for number in self.parse_selection(selection)? {
            self.server(number)?.preload(Preload {
                ids: preload_ids(number, step),
                users: count("users", 0)?,
                moderators: count("moderators", 1)?,
                videos: count("videos", 0)?,
                age_s: u64::from(count("age_s", 3600)?),
                meta: meta.iter().filter_map(|(k, v)| Some((k.clone(), v.text()?))).collect(),
                breakout: step.is_truthy("breakout"),
            });
        }
        Ok(())
    }

    /// Ends meetings on servers without the balancer: those that the step names, or all.
    pub(super) fn drop_meetings(&self, selection: &str, step: &YamlNode) -> anyhow::Result<()> {
        let ids: Vec<String> = text_list(step, "ids");
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        for number in self.parse_selection(selection)? {
            self.server(number)?.drop_meetings((!ids.is_empty()).then_some(ids.as_slice()));
        }
        Ok(())
    }

    /// The numbers of a selection such as `3`, `1-5`, `1,4` or `*`.
    fn parse_selection(&self, selection: &str) -> anyhow::Result<Vec<usize>> {
        if selection == "*" {
            return Ok((1..=self.behaviors.len()).collect());
        }
        let ranges = selection.split(',').map(parse_range).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(ranges.into_iter().flatten().collect())
    }
}

impl ServerBehavior {
    fn apply_step(&mut self, step: &YamlNode) {
        for (key, field) in
            [("mode", &mut self.mode), ("key", &mut self.key), ("message", &mut self.message)]
        {
            if let Some(text) = step.get_text(key) {
                *field = text;
            }
        }
        if step.has("only") {
            self.only = Some(text_list(step, "only")).filter(|only| !only.is_empty());
        }
    }

    fn to_fault(&self) -> anyhow::Result<Option<Fault>> {
        let mode = match self.mode.as_str() {
            "ok" => return Ok(None),
            "down" => FaultMode::Reset,
            "hang" => FaultMode::Hang,
            "error500" => FaultMode::Error500,
            "garbage" => FaultMode::InvalidXml,
            "html" => FaultMode::Html,
            "empty" => FaultMode::Empty,
            "noreturncode" => FaultMode::NoReturncode,
            "failed" => FaultMode::Failed { key: self.key.clone(), message: self.message.clone() },
            other => bail!("unknown mode {other}"),
        };
        Ok(Some(Fault { mode, calls: self.only.clone() }))
    }
}

fn preload_ids(number: usize, step: &YamlNode) -> Vec<String> {
    if step.is_truthy("ids") {
        return text_list(step, "ids");
    }
    let prefix = step.get_text("prefix").unwrap_or_else(|| "pre".to_owned());
    let meetings = step.get_int("meetings").unwrap_or(1);
    (0..meetings).map(|n| format!("{prefix}-{number}-{n}")).collect()
}

fn text_list(step: &YamlNode, key: &str) -> Vec<String> {
    step.get(key)
        .map(YamlNode::items)
        .unwrap_or_default()
        .iter()
        .filter_map(YamlNode::text)
        .collect()
}

fn parse_range(part: &str) -> anyhow::Result<RangeInclusive<usize>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let number = |text: &str| text.parse().with_context(|| format!("not a selection: {part}"));
    Ok(number(first)?..=number(last)?)
}

fn parse_algorithm(name: &str) -> anyhow::Result<Algorithm> {
    Ok(match name {
        "sha1" => Algorithm::Sha1,
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        other => bail!("unknown algorithm {other}"),
    })
}
