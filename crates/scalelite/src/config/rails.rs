//! Reads `redis_store.yml` and `database.yml`, the files in which deployments of the original
//! configure their stores. Only the production section is used, and in it only keys about the
//! connection.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Sources, erb};

/// Longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// File name of the Redis configuration, in `SCALELITE_CONFIG_DIR`.
pub const REDIS_FILE: &str = "redis_store.yml";
/// File name of the PostgreSQL configuration, in `SCALELITE_CONFIG_DIR`.
pub const DATABASE_FILE: &str = "database.yml";

/// The production section of `redis_store.yml`. All values are read as text: YAML would read a
/// password of digits as a number.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct RedisFile {
    #[serde(alias = ":url")]
    pub url: Option<String>,
    #[serde(alias = ":host")]
    pub host: Option<String>,
    #[serde(alias = ":port")]
    pub port: Option<String>,
    #[serde(alias = ":path")]
    pub path: Option<String>,
    #[serde(alias = ":db")]
    pub db: Option<String>,
    #[serde(alias = ":username")]
    pub username: Option<String>,
    #[serde(alias = ":password")]
    pub password: Option<String>,
    #[serde(alias = ":ssl")]
    pub ssl: Option<String>,
    #[serde(alias = ":namespace")]
    pub namespace: Option<String>,
    #[serde(alias = ":pool")]
    pub pool: Option<String>,
    #[serde(alias = ":name")]
    pub name: Option<String>,
    #[serde(alias = ":sentinels")]
    pub sentinels: Option<Vec<SentinelEntry>>,
    #[serde(alias = ":sentinel_password")]
    pub sentinel_password: Option<String>,
}

/// An entry of `sentinels`.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct SentinelEntry {
    #[serde(alias = ":host")]
    pub host: Option<String>,
    #[serde(alias = ":port")]
    pub port: Option<String>,
    #[serde(alias = ":password")]
    pub password: Option<String>,
}

/// The production section of `database.yml`.
#[derive(Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct DatabaseFile {
    pub adapter: Option<String>,
    pub url: Option<String>,
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    username: Option<String>,
    password: Option<String>,
    pub pool: Option<String>,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    connect_timeout: Option<String>,
    application_name: Option<String>,
    options: Option<String>,
    keepalives: Option<String>,
    keepalives_idle: Option<String>,
    keepalives_interval: Option<String>,
    keepalives_count: Option<String>,
}

impl DatabaseFile {
    /// Whether the file has any key that locates a database.
    pub fn has_location(&self) -> bool {
        [&self.url, &self.host, &self.port, &self.database, &self.username]
            .into_iter()
            .any(|value| non_empty(value.as_ref()).is_some())
    }

    /// The connection parameters that are set, by their names in URLs. `url` and `pool` are not included.
    pub fn parameters(&self) -> Vec<(&'static str, String)> {
        let parameters = [
            ("host", &self.host),
            ("port", &self.port),
            ("dbname", &self.database),
            ("user", &self.username),
            ("password", &self.password),
            ("sslmode", &self.sslmode),
            ("sslrootcert", &self.sslrootcert),
            ("connect_timeout", &self.connect_timeout),
            ("application_name", &self.application_name),
            ("options", &self.options),
            ("keepalives", &self.keepalives),
            ("keepalives_idle", &self.keepalives_idle),
            ("keepalives_interval", &self.keepalives_interval),
            ("keepalives_count", &self.keepalives_count),
        ];
        let non_empty =
            |(name, value): (_, &Option<String>)| Some((name, non_empty(value.as_ref())?));
        parameters.into_iter().filter_map(non_empty).collect()
    }
}

/// The trimmed value, or `None` if it is empty, as values from variables that are not set are.
pub fn non_empty(value: Option<&String>) -> Option<String> {
    value.map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The sections of a file that are used.
#[derive(Deserialize)]
struct RailsSections<T> {
    production: Option<T>,
}

/// Reads the production section of a file. Returns `None` if the file or the section is missing.
///
/// # Errors
/// When the file cannot be read, contains Ruby code that is not supported, or is not the expected
/// YAML. The message quotes nothing of the file except that Ruby code.
pub fn read_production<T: DeserializeOwned>(
    dir: &Path,
    name: &str,
    sources: &Sources,
) -> Result<Option<T>, String> {
    let path = dir.join(name);
    let failure = |reason: String| format!("{}: {reason}", path.display());
    let Some(text) = read_file(&path).map_err(|error| failure(error.to_string()))? else {
        return Ok(None);
    };
    let text = erb::render(&text, &|name| sources.raw_variable(name)).map_err(failure)?;
    let sections: Option<RailsSections<T>> = serde_saphyr::from_str(&text).map_err(|error| {
        // The text of the error itself would quote lines of the file.
        let location = error.location();
        let line = location.map_or(String::new(), |place| format!("line {}: ", place.line()));
        failure(format!("{line}not the expected YAML"))
    })?;
    Ok(sections.and_then(|sections| sections.production))
}

fn read_file(path: &Path) -> std::io::Result<Option<String>> {
    use std::io::{Error, ErrorKind, Read as _};
    let mut text = String::new();
    match std::fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?,
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::new(ErrorKind::FileTooLarge, "file is too large"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_redis_file(
        text: &str,
        variables: &[(&str, &str)],
    ) -> Result<Option<RedisFile>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(REDIS_FILE), text).unwrap();
        let file = read_production(dir.path(), REDIS_FILE, &Sources::from_variables(variables));
        file.map_err(|error| error.rsplit_once('/').unwrap().1.to_owned())
    }

    fn some_text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn merged_sections_and_variables_are_read() {
        let text = "default: &default\n  pool: <%= ENV['REDIS_POOL'] || 5 %>\n  db: 1\n\
                    development:\n  <<: *default\n  url: redis://dev\n\
                    production:\n  <<: *default\n  db: 2\n  url: <%= ENV['REDIS_URL'] %>\n  \
                    namespace: <%= ENV.fetch('NS') { 'scalelite' } %>\n  timeout: 5\n";
        let file = read_redis_file(text, &[("REDIS_URL", "redis://:p@h/3")]).unwrap().unwrap();
        assert_eq!(
            (file.url, file.namespace),
            (some_text("redis://:p@h/3"), some_text("scalelite"))
        );
        assert_eq!((file.pool, file.db), (some_text("5"), some_text("2")));
        let file = read_redis_file(text, &[("REDIS_POOL", "9")]).unwrap().unwrap();
        assert_eq!((non_empty(file.url.as_ref()), file.pool), (None, some_text("9")));
    }

    #[test]
    fn symbols_sentinels_and_texts_that_look_like_numbers_are_read() {
        let text = "production:\n  :name: mymaster\n  role: master\n  password: 0123\n  ssl: true\n  \
                    sentinels:\n  - {host: a, port: 26380, password: 1e5}\n  - :host: b\n    :port: 7\n";
        let file = read_redis_file(text, &[]).unwrap().unwrap();
        assert_eq!((file.name, file.password), (some_text("mymaster"), some_text("0123")));
        assert_eq!(file.ssl, some_text("true"));
        let sentinels = file.sentinels.unwrap();
        assert_eq!(
            (&sentinels[0].host, &sentinels[0].port),
            (&some_text("a"), &some_text("26380"))
        );
        assert_eq!(sentinels[0].password, some_text("1e5"));
        assert_eq!((&sentinels[1].host, &sentinels[1].port), (&some_text("b"), &some_text("7")));
    }

    #[test]
    fn files_without_a_production_section_count_as_missing() {
        for text in ["", "# nothing\n", "production:\n", "development:\n  host: x\n"] {
            assert!(read_redis_file(text, &[]).unwrap().is_none(), "{text}");
        }
        let dir = tempfile::tempdir().unwrap();
        let missing =
            read_production::<RedisFile>(dir.path(), REDIS_FILE, &Sources::from_variables(&[]));
        assert!(missing.unwrap().is_none());
        let file: DatabaseFile = serde_saphyr::from_str(
            "adapter: postgresql\nencoding: unicode\npool: 5\nurl: \"\"\nhost:\n",
        )
        .unwrap();
        assert!(!file.has_location());
    }

    #[test]
    fn errors_name_file_and_line_and_no_secret() {
        let text = "production:\n  host: h\n  password: <%= ENV['SECRET'] %>\n  port: <% if x %>\n";
        assert_eq!(
            read_redis_file(text, &[]).err().unwrap(),
            "redis_store.yml: line 4: `<% if x %>`: only ENV['NAME'] and ENV.fetch('NAME') with \
             literal defaults are supported"
        );
        let text = "production:\n  password: <%= ENV['SECRET'] %>\n  port: [1]\n";
        let error = read_redis_file(text, &[("SECRET", "a: hidden")]).err().unwrap();
        assert!(error.starts_with("redis_store.yml: line 2: not the expected YAML"), "{error}");
        let error = read_redis_file(text, &[("SECRET", "hidden")]).err().unwrap();
        assert!(error.starts_with("redis_store.yml: line 3: not the expected YAML"), "{error}");
    }

    #[test]
    fn database_keys_become_url_parameters() {
        let file: DatabaseFile = serde_saphyr::from_str(
            "adapter: postgresql\nhost: h\nport: 5433\ndatabase: d\nusername: u\npassword: 007\n\
             pool: 7\nsslmode: require\nvariables:\n  statement_timeout: 5000\nencoding: unicode\n",
        )
        .unwrap();
        assert!(file.has_location());
        let parameters = file.parameters();
        let parameters: Vec<_> = parameters.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let expected = [
            ("host", "h"),
            ("port", "5433"),
            ("dbname", "d"),
            ("user", "u"),
            ("password", "007"),
            ("sslmode", "require"),
        ];
        assert_eq!(parameters, expected);
    }
}
