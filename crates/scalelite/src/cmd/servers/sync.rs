//! Servers from files: `add-all` and `sync`.

use std::path::Path;

use app::admin::servers::{self, NewServer, PanicOptions};
use app::ports::ServerChange;
use domain::{AdminState, Server, ServerLimits};
use serde_json::{Map, Value};

use super::admin_failure;
use crate::cmd::{CommandContext, CommandFailure};
use crate::output::print_line;

/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 8 << 20;
const KNOWN_FIELDS: [&str; 8] =
    ["url", "secret", "enabled", "load_multiplier", "tag", "max_meetings", "max_users", "tier"];
/// What `yaml --verbose` prints beyond that; a pool is not told how it fares.
const IGNORED_FIELDS: [&str; 4] = ["load", "state", "bbb_version", "online"];

/// What becomes of servers that are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncMode {
    /// They stay.
    Keep,
    /// Empty ones are removed, the others cordoned.
    Cordon,
    /// Their meetings are ended and they are removed.
    Force,
}

/// A server as the file wants it.
struct WantedServer {
    id: String,
    new_server: NewServer,
    limits: ServerLimits,
    enabled: bool,
}

fn sync_failure(text: impl std::fmt::Display) -> CommandFailure {
    CommandFailure(format!("ERROR: {text}"))
}

fn read_yaml(path: &Path) -> Result<Value, CommandFailure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text));
    read.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => {
            sync_failure(format!("No such file or directory @ rb_sysopen - {}", path.display()))
        }
        _ => sync_failure(format!("{}: {cause}", path.display())),
    })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        // The servers at its end must not count as absent.
        return Err(sync_failure(format!(
            "{}: longer than {MAX_FILE_BYTES} bytes",
            path.display()
        )));
    }
    serde_saphyr::from_str(&text).map_err(|_| sync_failure("Invalid YAML document"))
}

/// Adds every server of a file. The whole file is checked before anything is changed.
pub async fn add_all(session: &CommandContext, path: &Path) -> Result<(), CommandFailure> {
    let document = read_yaml(path)?;
    let list: Vec<&Value> = match document.get("servers") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(Value::Object(list)) => list.values().collect(),
        _ => return Err(sync_failure("Invalid YAML document")),
    };
    let read = (1..).zip(list).map(|(n, entry)| {
        let name = format!("number {n}");
        let url = text_field(entry, "url");
        let url = url.ok_or_else(|| sync_failure(format!("Server {name} has no url")))?;
        read_new_server(&name, None, url, entry)
    });
    for new in read.collect::<Result<Vec<_>, CommandFailure>>()? {
        let server = servers::add(&session.app, new).await.map_err(admin_failure)?;
        print_line(format!("server: {}\nid: {}", server.url, server.id));
    }
    Ok(())
}

/// Makes the pool match a file. The whole file is checked before anything is changed.
pub async fn sync(
    session: &CommandContext,
    path: Option<&Path>,
    mode: &str,
    dry_run: bool,
    talk: bool,
) -> Result<(), CommandFailure> {
    let path = path.ok_or_else(|| sync_failure("Missing 'path' parameter"))?;
    let mode = match mode {
        "keep" => SyncMode::Keep,
        "cordon" => SyncMode::Cordon,
        "force" => SyncMode::Force,
        other => {
            return Err(sync_failure(format!(
                "Unknown sync mode '{other}' (choose: keep cordon force)"
            )));
        }
    };
    let wanted = read_wanted_servers(&read_yaml(path)?)?;
    let sync = PoolSync { session, dry_run, verbose: talk };
    let present = session.app.pool.list_servers().await?;
    for one in &wanted {
        match present.iter().find(|server| server.id.0 == one.id) {
            Some(server) => sync.update(server, one).await?,
            None => sync.add(one).await?,
        }
    }
    for server in present.iter().filter(|server| !wanted.iter().any(|one| one.id == server.id.0)) {
        sync.handle_absent(server, mode).await?;
    }
    Ok(())
}

struct PoolSync<'a> {
    session: &'a CommandContext,
    dry_run: bool,
    verbose: bool,
}

impl PoolSync<'_> {
    /// Says what is about to be done; false if it shall not be done.
    fn announce_change(&self, what: &str, id: &str) -> bool {
        tracing::info!(server = id, dry_run = self.dry_run, "sync: {what}");
        if self.verbose {
            let would = if self.dry_run { "would " } else { "" };
            print_line(format!("{would}{what} {id}"));
        }
        !self.dry_run
    }

    async fn add(&self, one: &WantedServer) -> Result<(), CommandFailure> {
        if !self.announce_change("add", &one.id) {
            return Ok(());
        }
        let server =
            servers::add(&self.session.app, one.new_server.clone()).await.map_err(admin_failure)?;
        if one.enabled || one.limits != ServerLimits::default() {
            let state = one.enabled.then_some(AdminState::Enabled);
            self.apply_change(&server, ServerChange { state, ..limits_change(one.limits) }).await?;
        }
        Ok(())
    }

    async fn update(&self, server: &Server, one: &WantedServer) -> Result<(), CommandFailure> {
        let state = match (one.enabled, server.state) {
            (true, AdminState::Cordoned | AdminState::Disabled) => Some(AdminState::Enabled),
            (false, AdminState::Enabled) => Some(AdminState::Cordoned),
            _ => None,
        };
        let new = one.new_server.clone();
        let multiplier = new.load_multiplier.unwrap_or(1.0);
        let same = server.url == new.url
            && server.secret == new.secret
            && server.tag == new.tag
            && server.limits == one.limits
            && (server.load_multiplier - multiplier).abs() < f64::EPSILON;
        if same && state.is_none() || !self.announce_change("update", &one.id) {
            return Ok(());
        }
        let change = ServerChange {
            url: Some(new.url),
            secret: Some(new.secret),
            tag: Some(new.tag),
            state,
            load_multiplier: Some(multiplier),
            ..limits_change(one.limits)
        };
        self.apply_change(server, change).await
    }

    /// A server that the file does not name.
    async fn handle_absent(&self, server: &Server, mode: SyncMode) -> Result<(), CommandFailure> {
        let app = &self.session.app;
        let empty = app.pool.list_meetings(Some(&server.id)).await?.is_empty()
            && server.load.is_none_or(|load| load <= 0.0);
        let id = server.id.0.as_str();
        match mode {
            SyncMode::Keep => {}
            SyncMode::Cordon if !empty => {
                if server.state == AdminState::Enabled && self.announce_change("cordon", id) {
                    self.apply_change(server, ServerChange::with_state(AdminState::Cordoned))
                        .await?;
                }
            }
            SyncMode::Cordon | SyncMode::Force => {
                if self.announce_change("remove", id) {
                    servers::panic(app, id, PanicOptions::default())
                        .await
                        .map_err(admin_failure)?;
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
        servers::update(&self.session.app, &server.id.0, change)
            .await
            .map(drop)
            .map_err(admin_failure)
    }
}

/// A change to these limits and nothing else.
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

/// A text of an entry that is not empty.
fn text_field(entry: &Value, name: &str) -> Option<String> {
    entry.get(name).and_then(as_text).filter(|text| !text.is_empty())
}

fn as_number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn read_wanted_servers(document: &Value) -> Result<Vec<WantedServer>, CommandFailure> {
    let Some(Value::Object(servers)) = document.get("servers") else {
        return Err(sync_failure("Invalid YAML document"));
    };
    servers.iter().map(|(id, server)| read_wanted_server(id, server)).collect()
}

fn read_wanted_server(id: &str, entry: &Value) -> Result<WantedServer, CommandFailure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if id.is_empty() || !id.chars().all(plain) {
        return Err(sync_failure(format!("Server id={id} is invalid")));
    }
    let empty = Map::new();
    let server = entry.as_object().unwrap_or(&empty);
    let known = |name: &&String| {
        !KNOWN_FIELDS.contains(&name.as_str()) && !IGNORED_FIELDS.contains(&name.as_str())
    };
    let unknown: Vec<String> =
        server.keys().filter(known).map(|name| format!("{name:?}")).collect();
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
    let new = read_new_server(&format!("id={id}"), Some(id), url, entry)?;
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
    Ok(WantedServer { id: id.to_owned(), new_server: new, limits, enabled })
}

/// A server as its entry in a file describes it; `name` is what complaints call it.
fn read_new_server(
    name: &str,
    id: Option<&str>,
    url: String,
    entry: &Value,
) -> Result<NewServer, CommandFailure> {
    let has = |what: &str| sync_failure(format!("Server {name} has {what}"));
    let secret = text_field(entry, "secret").ok_or_else(|| has("no secret"))?;
    servers::check_url(&url).map_err(|_| has("a bad url"))?;
    let load_multiplier = match entry.get("load_multiplier").filter(|value| !value.is_null()) {
        None => 1.0,
        Some(value) => as_number(value)
            .and_then(|number| servers::check_multiplier(number).ok())
            .ok_or_else(|| has("a bad load_multiplier"))?,
    };
    let (id, tag) = (id.map(str::to_owned), text_field(entry, "tag"));
    Ok(NewServer { id, url, secret, tag, load_multiplier: Some(load_multiplier) })
}
