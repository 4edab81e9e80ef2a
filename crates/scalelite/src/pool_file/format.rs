//! The file of `apply`: its format, and what it says as a wanted state.

use std::io::Read as _;
use std::path::Path;

use app::apply::{FileProblem, WantedServer, WantedSetting, WantedState, WantedTenant};
use domain::AdminState;
use domain::tenant::Lrs;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::secrets::{SecretReader, SecretSource};

/// Longest file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The servers and tenants of a Scalelite deployment, as `scalelite apply` reads and `scalelite export` writes them. What is not written stays
/// as it is; null removes an optional value.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "scalelite apply")]
pub struct PoolFile {
    /// The servers of the pool. Without this list servers are left alone.
    #[serde(default)]
    servers: Option<Vec<ServerInFile>>,
    /// The tenants (with MULTITENANCY_ENABLED). Without this list tenants are left alone.
    #[serde(default)]
    tenants: Option<Vec<TenantInFile>>,
}

/// A BBB server.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ServerInFile {
    /// The URL of its API, by which it is known, in any spelling.
    url: String,
    /// The secret shared with it. A new server needs one of secret, secret_file and secret_env.
    #[serde(default)]
    secret: Option<String>,
    /// A file with the secret; relative to the directory of this file.
    #[serde(default)]
    secret_file: Option<String>,
    /// An environment variable with the secret.
    #[serde(default)]
    secret_env: Option<String>,
    /// The URL of its API for joins, if browsers reach it at another one.
    #[serde(default, deserialize_with = "read_removable")]
    #[schemars(with = "Option<String>")]
    join_url: Option<Option<String>>,
    /// How much more a user weighs on it than on a normal server.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    load_multiplier: Option<f64>,
    /// Only requests that ask for this tag get it.
    #[serde(default, deserialize_with = "read_removable")]
    #[schemars(with = "Option<String>")]
    tag: Option<Option<String>>,
    /// A new server is enabled unless this says otherwise; the state of others stays as it is.
    #[serde(default)]
    state: Option<StateInFile>,
    /// Most meetings at a time.
    #[serde(default, deserialize_with = "read_removable")]
    #[schemars(with = "Option<u32>")]
    max_meetings: Option<Option<u32>>,
    /// Most users at a time.
    #[serde(default, deserialize_with = "read_removable")]
    #[schemars(with = "Option<u32>")]
    max_users: Option<Option<u32>>,
    /// 0 for servers that are used first, higher numbers for backups.
    #[serde(default)]
    tier: Option<u32>,
}

/// What the administrator wants of a server.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StateInFile {
    /// It gets new meetings.
    Enabled,
    /// It keeps its meetings and gets no new ones; it is disabled when it has none left.
    Cordoned,
    /// It is not used.
    Disabled,
}

impl From<StateInFile> for AdminState {
    fn from(name: StateInFile) -> Self {
        match name {
            StateInFile::Enabled => Self::Enabled,
            StateInFile::Cordoned => Self::Cordoned,
            StateInFile::Disabled => Self::Disabled,
        }
    }
}

/// A tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TenantInFile {
    /// Its name, which is the first label of its host name.
    name: String,
    /// Its secrets; any of them may sign calls. A new tenant needs one of secrets, secrets_file and secrets_env.
    #[serde(default)]
    secrets: Option<Vec<String>>,
    /// A file with its secrets, separated by colons; relative to the directory of this file.
    #[serde(default)]
    secrets_file: Option<String>,
    /// An environment variable with its secrets, separated by colons.
    #[serde(default)]
    secrets_env: Option<String>,
    /// Its learning record store.
    #[serde(default)]
    lrs: Option<LrsInFile>,
    /// Its settings. Without this list they are left alone.
    #[serde(default)]
    settings: Option<Vec<SettingInFile>>,
}

/// A learning record store. Each password may be given by a file or an environment variable.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct LrsInFile {
    /// URL of the learning record store.
    lrs_endpoint: Option<String>,
    /// User name for HTTP Basic authentication.
    lrs_username: Option<String>,
    /// Password for HTTP Basic authentication.
    lrs_password: Option<String>,
    /// A file with it.
    lrs_password_file: Option<String>,
    /// An environment variable with it.
    lrs_password_env: Option<String>,
    /// Keycloak: URL of the token endpoint.
    kc_token_url: Option<String>,
    /// Keycloak: client id.
    kc_client_id: Option<String>,
    /// Keycloak: client secret.
    kc_client_secret: Option<String>,
    /// A file with it.
    kc_client_secret_file: Option<String>,
    /// An environment variable with it.
    kc_client_secret_env: Option<String>,
    /// Keycloak: user name.
    kc_username: Option<String>,
    /// Keycloak: password.
    kc_password: Option<String>,
    /// A file with it.
    kc_password_file: Option<String>,
    /// An environment variable with it.
    kc_password_env: Option<String>,
}

/// A parameter that a tenant sets for create and join.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SettingInFile {
    /// The name of the parameter.
    param: String,
    /// Its value.
    value: String,
    /// Whether it replaces the parameter of a request; otherwise it is used if the request has none.
    #[serde(default, rename = "override")]
    is_override: bool,
}

impl std::fmt::Debug for ServerInFile {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerInFile").field("url", &self.url).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TenantInFile {
    /// Leaves out secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TenantInFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Distinguishes null, which removes a value, from a value that is not written.
fn read_removable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Reads a file, or the standard input if its name is `-`. The error says what is wrong and where, and nothing of what the file holds but
/// names of fields.
pub fn read(path: &Path) -> Result<PoolFile, String> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    let place = path.display();
    read.map_err(|error| format!("{place}: {error}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        // It must not be cut off: what stands at its end would count as not listed.
        return Err(format!("{place}: longer than {MAX_FILE_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{place}: not UTF-8"))?;
    let file = parse(&text).map_err(|error| format!("{place}{error}"))?;
    match (&file.servers, &file.tenants) {
        (None, None) => Err(format!("{place}: it lists neither servers nor tenants")),
        _ => Ok(file),
    }
}

/// Parses the text of a file. The error begins with `:LINE:COLUMN: ` if the place is known.
fn parse(text: &str) -> Result<PoolFile, String> {
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    let mut place = None;
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            let path = error.path().to_string();
            // The path of a field that cannot be read ends so.
            let path = path.strip_suffix(".?").unwrap_or(&path);
            place = Some(path.to_owned()).filter(|path| path != "." && path != "?");
            error.into_inner()
        })
    });
    parsed.map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or_else(String::new, |location| {
            format!(":{}:{}", location.line(), location.column())
        });
        let place = place.map_or_else(String::new, |place| format!("{place}: "));
        format!("{line}: {place}{}", super::yaml_errors::describe(error))
    })
}

impl PoolFile {
    /// Whether it speaks of tenants.
    pub fn has_tenants(&self) -> bool {
        self.tenants.is_some()
    }

    /// Converts the file to the state that it wants, with the secrets that it names.
    pub fn into_wanted(self, secrets: &SecretReader<'_>) -> Result<WantedState, Vec<FileProblem>> {
        let mut problems = Vec::new();
        let servers = self.servers.map(|list| {
            let list = list.into_iter().enumerate();
            list.map(|(n, entry)| {
                let path = format!("servers[{n}]");
                entry.into_wanted(&mut |field, source| {
                    secrets.read(&mut problems, &format!("{path}.{field}"), source)
                })
            })
            .collect()
        });
        let tenants = self.tenants.map(|list| {
            let list = list.into_iter().enumerate();
            list.map(|(n, entry)| {
                let path = format!("tenants[{n}]");
                entry.into_wanted(&mut |field, source| {
                    secrets.read(&mut problems, &format!("{path}.{field}"), source)
                })
            })
            .collect()
        });
        if problems.is_empty() { Ok(WantedState { servers, tenants }) } else { Err(problems) }
    }
}

/// Reads the secret of a field.
type ReadSecret<'a> = dyn FnMut(&str, SecretSource) -> Option<String> + 'a;

impl ServerInFile {
    fn into_wanted(self, read_secret: &mut ReadSecret<'_>) -> WantedServer {
        let source =
            SecretSource { inline: self.secret, file: self.secret_file, env: self.secret_env };
        WantedServer {
            url: self.url,
            secret: read_secret("secret", source),
            join_url: self.join_url,
            load_multiplier: self.load_multiplier,
            tag: self.tag,
            state: self.state.map(AdminState::from),
            max_meetings: self.max_meetings,
            max_users: self.max_users,
            tier: self.tier,
        }
    }
}

impl TenantInFile {
    fn into_wanted(self, read_secret: &mut ReadSecret<'_>) -> WantedTenant {
        // A separator within a secret would make two of it.
        let inline = self.secrets.map(|secrets| match secrets.iter().any(|it| it.contains(':')) {
            true => String::new(),
            false => secrets.join(":"),
        });
        let source = SecretSource { inline, file: self.secrets_file, env: self.secrets_env };
        let settings = self.settings.map(|settings| {
            let to_wanted = |SettingInFile { param, value, is_override }| WantedSetting {
                param,
                value,
                is_override,
            };
            settings.into_iter().map(to_wanted).collect()
        });
        WantedTenant {
            name: self.name,
            secrets: read_secret("secrets", source),
            lrs: self.lrs.unwrap_or_default().into_wanted(read_secret),
            settings,
        }
    }
}

impl LrsInFile {
    fn into_wanted(self, read_secret: &mut ReadSecret<'_>) -> Lrs {
        let mut read = |field: &str, inline, file, env| {
            read_secret(&format!("lrs.{field}"), SecretSource { inline, file, env })
        };
        Lrs {
            endpoint: self.lrs_endpoint,
            username: self.lrs_username,
            password: read(
                "lrs_password",
                self.lrs_password,
                self.lrs_password_file,
                self.lrs_password_env,
            ),
            kc_token_url: self.kc_token_url,
            kc_client_id: self.kc_client_id,
            kc_client_secret: read(
                "kc_client_secret",
                self.kc_client_secret,
                self.kc_client_secret_file,
                self.kc_client_secret_env,
            ),
            kc_username: self.kc_username,
            kc_password: read(
                "kc_password",
                self.kc_password,
                self.kc_password_file,
                self.kc_password_env,
            ),
        }
    }
}

/// The JSON schema of the file, for editors.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(PoolFile).to_value()
}

#[cfg(test)]
mod tests;
