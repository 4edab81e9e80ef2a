//! The sources of settings. Flags override the environment, `NAME_FILE` names a file that holds the
//! secret `NAME`, and an empty variable, or one of blanks only, counts as unset. No other code reads the environment.

use std::collections::BTreeMap;
use std::fmt;

/// Longest secret file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A flag of the command line.
    Flag,
    /// An environment variable, by its name.
    Environment(String),
    /// A file; the name is that of the environment variable with its path.
    File(String),
    /// The default, since the setting is not set.
    Default,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(name) => write!(f, "file named by {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Flags and environment variables, by name.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Sources {
    /// These flags, by the names of their settings, and the environment of the process.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
    pub fn from_process(flags: BTreeMap<String, String>) -> Self {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self { flags, environment: environment.collect() }
    }

    /// The variables of an environment file, and nothing else.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &std::path::Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let environment = lines.filter_map(|line| line.split_once('='));
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { flags: BTreeMap::new(), environment })
    }

    /// These environment variables only.
    #[cfg(test)]
    pub fn from_variables(environment: &[(&str, &str)]) -> Self {
        let to_owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { flags: BTreeMap::new(), environment: environment.iter().map(to_owned).collect() }
    }

    /// Returns the value of a setting and its origin: the first of these names that is set. Files are
    /// read for secrets only.
    ///
    /// # Errors
    /// When the file that holds the secret cannot be read.
    pub fn find(
        &self,
        names: &[&str],
        secret: bool,
    ) -> Result<Option<(String, SettingOrigin)>, String> {
        for name in names {
            if let Some(value) = self.flags.get(*name) {
                return Ok(Some((value.clone(), SettingOrigin::Flag)));
            }
        }
        for name in names {
            if let Some(value) =
                self.environment.get(*name).filter(|value| !value.trim().is_empty())
            {
                return Ok(Some((value.clone(), SettingOrigin::Environment((*name).to_owned()))));
            }
            let file = format!("{name}_FILE");
            if let Some(path) =
                self.environment.get(&file).filter(|path| secret && !path.is_empty())
            {
                let text = read_file(path).map_err(|error| format!("{file}: {path}: {error}"))?;
                return Ok(Some((text, SettingOrigin::File(file))));
            }
        }
        Ok(None)
    }

    /// Whether an environment variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// The value of an environment variable, which may be empty.
    pub fn raw_variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// Names of all environment variables that are not empty.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.environment
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// The value of an environment variable, unless it is empty. For variables that are not settings.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn read_file(path: &str) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
