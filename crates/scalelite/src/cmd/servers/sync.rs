//! `servers add-all` and `servers sync`: servers from YAML files.

use std::path::Path;

use app::admin::servers::{self, NewServer, PanicOptions};
use app::ports::ServerChange;
use domain::server::hostname;
use domain::{AdminState, Server, ServerId, ServerLimits};
use serde_json::{Map, Value};

use super::admin_failure;
use crate::cmd::{CommandContext, CommandFailure};
use crate::output::print_line;

/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;
/// Fields of a server in the file.
const KNOWN_FIELDS: [&str; 9] = [
    "url",
    "join_url",
    "secret",
    "enabled",
    "load_multiplier",
    "tag",
    "max_meetings",
    "max_users",
    "tier",
];
/// Fields that `servers yaml --verbose` prints in addition. They describe the state of the server, and
/// are ignored.
const IGNORED_FIELDS: [&str; 4] = ["load", "state", "bbb_version", "online"];

/// What to do with servers that are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncMode {
    /// Keep them.
    Keep,
    /// Remove those without meetings and load, cordon the others.
    Cordon,
    /// End their meetings and remove them.
    Force,
}

/// A server as described in the file.
struct ServerToSync {
    id: String,
    new_server: NewServer,
    limits: ServerLimits,
    /// `None` if the file does not say: then it stays as it is.
    join_url: Option<Option<String>>,
    enabled: bool,
}

fn sync_failure(text: impl std::fmt::Display) -> CommandFailure {
    CommandFailure(format!("ERROR: {text}"))
}

/// Reads a file, or the standard input if its name is `-`.
fn read_yaml(path: &Path) -> Result<Value, CommandFailure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => {
            sync_failure(format!("No such file or directory @ rb_sysopen - {}", path.display()))
        }
        _ => sync_failure(format!("{}: {cause}", path.display())),
    })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        // The file must not be truncated: servers at its end would count as absent.
        return Err(sync_failure(format!(
            "{}: longer than {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    serde_saphyr::from_str(&text).map_err(|_| sync_failure("Invalid YAML document"))
}

/// Adds every server of a file. The whole file is checked before anything is changed.
pub async fn add_all(context: &CommandContext, path: &Path) -> Result<(), CommandFailure> {
    let document = read_yaml(path)?;
    let list: Vec<&Value> = match document.get("servers") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(Value::Object(list)) => list.values().collect(),
        _ => return Err(sync_failure("Invalid YAML document")),
    };
    let servers = (1..).zip(list).map(|(number, entry)| {
        let name = format!("number {number}");
        let url = text_field(entry, "url");
        let url = url.ok_or_else(|| sync_failure(format!("Server {name} has no url")))?;
        read_new_server(&name, None, url, entry)
    });
    let servers = servers.collect::<Result<Vec<_>, CommandFailure>>()?;
    let mut planned = context.app.pool.list_servers().await?;
    for server in &servers {
        plan_url(&mut planned, None, &server.url)?;
    }
    for new_server in servers {
        let server = servers::add(&context.app, new_server).await.map_err(admin_failure)?;
        print_line(format!("server: {}\nid: {}", server.url, server.id));
    }
    Ok(())
}

/// Makes the pool match a file. The whole file is checked before anything is changed.
pub async fn sync(
    context: &CommandContext,
    path: Option<&Path>,
    mode: &str,
    dry_run: bool,
    verbose: bool,
) -> Result<(), CommandFailure> {
    let path = path.ok_or_else(|| sync_failure("Missing 'path' parameter"))?;
    let mode = match mode {
        "keep" => SyncMode::Keep,
        "cordon" => SyncMode::Cordon,
        "force" => SyncMode::Force,
        unknown => {
            return Err(sync_failure(format!(
                "Unknown sync mode '{unknown}' (choose: keep cordon force)"
            )));
        }
    };
    let wanted = read_wanted_servers(&read_yaml(path)?)?;
    let sync = PoolSync { context, dry_run, verbose };
    let present = context.app.pool.list_servers().await?;
    let mut planned = present.clone();
    for ServerToSync { id, new_server, .. } in &wanted {
        plan_url(&mut planned, Some(ServerId(id.clone())), &new_server.url)?;
    }
    for wanted in &wanted {
        match present.iter().find(|server| server.id.0 == wanted.id) {
            Some(server) => sync.update(server, wanted).await?,
            None => sync.add(wanted).await?,
        }
    }
    let is_wanted = |server: &Server| wanted.iter().any(|wanted| wanted.id == server.id.0);
    for server in present.iter().filter(|server| !is_wanted(server)) {
        sync.handle_absent(server, mode).await?;
    }
    Ok(())
}

/// Checks that no other server has this URL, and counts it as this server's from now on.
fn plan_url(
    planned: &mut Vec<Server>,
    id: Option<ServerId>,
    url: &str,
) -> Result<(), CommandFailure> {
    servers::check_url_is_free(planned, url, id.as_ref()).map_err(admin_failure)?;
    match planned.iter_mut().find(|server| id.as_ref() == Some(&server.id)) {
        Some(server) => url.clone_into(&mut server.url),
        None => {
            planned.push(Server::new(id.unwrap_or_default(), url.to_owned(), String::new()));
        }
    }
    Ok(())
}

struct PoolSync<'a> {
    context: &'a CommandContext,
    dry_run: bool,
    verbose: bool,
}

impl PoolSync<'_> {
    /// Logs a change, and prints it if `verbose` is set. Returns whether it shall be made: not in a dry
    /// run.
    fn announce_change(&self, action: &str, id: &str, host: &str) -> bool {
        tracing::info!(action, server = id, host, dry_run = self.dry_run, "pool sync");
        if self.verbose {
            let prefix = if self.dry_run { "would " } else { "" };
            print_line(format!("{prefix}{action} {id}"));
        }
        !self.dry_run
    }

    async fn add(&self, wanted: &ServerToSync) -> Result<(), CommandFailure> {
        let new_server = wanted.new_server.clone();
        let host = hostname(&new_server.url).unwrap_or_default();
        if !self.announce_change("add", &wanted.id, host) {
            return Ok(());
        }
        let state = wanted.enabled.then_some(AdminState::Enabled);
        let join_url = wanted.join_url.clone();
        let change = ServerChange { state, join_url, ..limits_change(wanted.limits) };
        let added = servers::add_configured(&self.context.app, new_server, change).await;
        added.map(drop).map_err(admin_failure)
    }

    async fn update(&self, server: &Server, wanted: &ServerToSync) -> Result<(), CommandFailure> {
        let state = match (wanted.enabled, server.state) {
            (true, AdminState::Cordoned | AdminState::Disabled) => Some(AdminState::Enabled),
            (false, AdminState::Enabled) => Some(AdminState::Cordoned),
            _ => None,
        };
        let NewServer { url, secret, tag, load_multiplier, .. } = wanted.new_server.clone();
        let load_multiplier = load_multiplier.unwrap_or(1.0);
        let is_unchanged = server.url == url
            && server.secret == secret
            && server.tag == tag
            && server.limits == wanted.limits
            && wanted.join_url.as_ref().is_none_or(|url| server.join_url == *url)
            && (server.load_multiplier - load_multiplier).abs() < f64::EPSILON
            && state.is_none();
        if is_unchanged || !self.announce_change("update", &wanted.id, server.hostname()) {
            return Ok(());
        }
        let change = ServerChange {
            url: Some(url),
            join_url: wanted.join_url.clone(),
            secret: Some(secret),
            tag: Some(tag),
            state,
            load_multiplier: Some(load_multiplier),
            ..limits_change(wanted.limits)
        };
        self.apply_change(server, change).await
    }

    /// Handles a server that is not in the file.
    async fn handle_absent(&self, server: &Server, mode: SyncMode) -> Result<(), CommandFailure> {
        let app = &self.context.app;
        let is_empty = app.pool.list_meetings(Some(&server.id)).await?.is_empty()
            && server.load.is_none_or(|load| load <= 0.0);
        let id = server.id.0.as_str();
        let announce = |action: &str| self.announce_change(action, id, server.hostname());
        match mode {
            SyncMode::Keep => {}
            SyncMode::Cordon if !is_empty => {
                if server.state == AdminState::Enabled && announce("cordon") {
                    let change = ServerChange::with_state(AdminState::Cordoned);
                    self.apply_change(server, change).await?;
                }
            }
            SyncMode::Cordon | SyncMode::Force => {
                if announce("remove") {
                    let options = PanicOptions::default();
                    servers::panic(app, id, options).await.map_err(admin_failure)?;
                    servers::remove(app, id).await.map_err(admin_failure)?;
                }
            }
        }
        Ok(())
    }

    async fn apply_change(
        &self,
        server: &Server,
        change: ServerChange,
    ) -> Result<(), CommandFailure> {
        servers::update(&self.context.app, &server.id.0, change)
            .await
            .map(drop)
            .map_err(admin_failure)
    }
}

/// A change that sets these limits and nothing else.
fn limits_change(limits: ServerLimits) -> ServerChange {
    ServerChange {
        max_meetings: Some(limits.max_meetings),
        max_users: Some(limits.max_users),
        tier: Some(limits.tier),
        ..ServerChange::default()
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A field of an entry as text, unless it is missing or empty.
fn text_field(entry: &Value, name: &str) -> Option<String> {
    entry.get(name).and_then(as_text).filter(|text| !text.is_empty())
}

fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn read_wanted_servers(document: &Value) -> Result<Vec<ServerToSync>, CommandFailure> {
    let Some(Value::Object(servers)) = document.get("servers") else {
        return Err(sync_failure("Invalid YAML document"));
    };
    servers.iter().map(|(id, server)| read_wanted_server(id, server)).collect()
}

fn read_wanted_server(id: &str, entry: &Value) -> Result<ServerToSync, CommandFailure> {
    let is_id_char = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if id.is_empty() || !id.chars().all(is_id_char) {
        return Err(sync_failure(format!("Server id={id} is invalid")));
    }
    let empty = Map::new();
    let server = entry.as_object().unwrap_or(&empty);
    let is_unknown = |name: &&String| {
        !KNOWN_FIELDS.contains(&name.as_str()) && !IGNORED_FIELDS.contains(&name.as_str())
    };
    let unknown: Vec<String> =
        server.keys().filter(is_unknown).map(|name| format!("{name:?}")).collect();
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        return Err(sync_failure(format!("Server id={id} has bad parameters: [{list}]")));
    }
    let enabled = match server.get("enabled") {
        None | Some(Value::Null) => true,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| sync_failure(format!("Server id={id} has a bad value of enabled")))?,
    };
    let url = text_field(entry, "url").unwrap_or_else(|| format!("https://{id}/bigbluebutton/api"));
    let new_server = read_new_server(&format!("id={id}"), Some(id), url, entry)?;
    let limit = |name: &str| match server.get(name).filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match as_text(value).and_then(|text| text.parse::<u32>().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(sync_failure(format!("Server id={id} has a bad value of {name}"))),
        },
    };
    let limits = ServerLimits {
        max_meetings: limit("max_meetings")?,
        max_users: limit("max_users")?,
        tier: limit("tier")?.unwrap_or(0),
    };
    let join_url = server.get("join_url").map(|_| text_field(entry, "join_url"));
    if join_url.iter().flatten().any(|url| servers::check_url(url).is_err()) {
        return Err(sync_failure(format!("Server id={id} has a bad join_url")));
    }
    Ok(ServerToSync { id: id.to_owned(), new_server, limits, join_url, enabled })
}

/// Reads a server from its entry in a file. Error messages call it `name`.
fn read_new_server(
    name: &str,
    id: Option<&str>,
    url: String,
    entry: &Value,
) -> Result<NewServer, CommandFailure> {
    let failure = |problem: &str| sync_failure(format!("Server {name} has {problem}"));
    let secret = text_field(entry, "secret").ok_or_else(|| failure("no secret"))?;
    servers::check_url(&url).map_err(|_| failure("a bad url"))?;
    let load_multiplier = match entry.get("load_multiplier").filter(|value| !value.is_null()) {
        None => 1.0,
        Some(value) => as_number(value)
            .and_then(|number| servers::check_multiplier(number).ok())
            .ok_or_else(|| failure("a bad load_multiplier"))?,
    };
    let (id, tag) = (id.map(str::to_owned), text_field(entry, "tag"));
    Ok(NewServer { id, url, secret, tag, load_multiplier: Some(load_multiplier) })
}
