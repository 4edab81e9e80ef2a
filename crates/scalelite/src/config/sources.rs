//! The sources of settings. Flags override the environment, which overrides the environment file; `NAME_FILE` names a file that
//! holds the secret `NAME`, and an empty variable, or one of blanks only, counts as unset, with one exception. No other code reads the
//! environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::env_file::{self, EnvFile, FILE_VARIABLE, FileChoice};
use super::names;

/// Longest secret file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Settings that are set if their variable is there, even if it is empty, as the original reads them.
const SET_TO_NOTHING: &[&str] = &["FSAPI_PASSWORD"];

/// The source of a setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A flag of the command line.
    Flag,
    /// An environment variable, by its name.
    Environment(String),
    /// A file with a secret; the name is that of the variable with its path.
    File(String),
    /// A line of the environment file: `FILE:LINE`.
    EnvFile(String),
    /// The default, since the setting is not set.
    Default,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(name) => write!(f, "file named by {name}"),
            Self::EnvFile(place) => f.write_str(place),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A variable of the process that is no setting; one of blanks only counts as unset.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
pub fn read_variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Flags, environment variables, and variables of the environment file, by name.
#[derive(Clone)]
pub struct Sources {
    flags: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    choice: FileChoice,
    file: Option<EnvFile>,
}

impl Sources {
    /// These flags, by the names of their settings, the environment of the process, and the environment file: the one that
    /// is named by a flag, the one that the environment names, or the default.
    ///
    /// # Errors
    /// When the environment file cannot be used.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the environment")]
    pub fn from_process(
        flags: BTreeMap<String, String>,
        named_file: Option<&str>,
        default_file: FileChoice,
    ) -> Result<Self, String> {
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let environment: BTreeMap<String, String> = environment.collect();
        let named = named_file.or(environment.get(FILE_VARIABLE).map(String::as_str));
        let named = named.filter(|path| !path.is_empty());
        let choice = named.map_or(default_file, |path| FileChoice::Named(path.into()));
        let file = env_file::read(&choice)?;
        Ok(Self { flags, environment, choice, file })
    }

    /// The same flags and environment, and the environment file as it is now.
    ///
    /// # Errors
    /// When the environment file cannot be used.
    pub fn reread(&self) -> Result<Self, String> {
        let file = env_file::read(&self.choice)?;
        Ok(Self { file, ..self.clone() })
    }

    /// The variables of an environment file, and nothing else.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &std::path::Path) -> Result<Self, String> {
        let choice = FileChoice::Named(path.to_owned());
        let file = env_file::read(&choice)?;
        Ok(Self { flags: BTreeMap::new(), environment: BTreeMap::new(), choice, file })
    }

    /// These environment variables only.
    #[cfg(test)]
    pub fn from_variables(environment: &[(&str, &str)]) -> Self {
        let to_owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = environment.iter().map(to_owned).collect();
        let choice = FileChoice::Search(Vec::new());
        Self { flags: BTreeMap::new(), environment, choice, file: None }
    }

    /// The environment file, if there is one.
    pub fn env_file(&self) -> Option<&EnvFile> {
        self.file.as_ref()
    }

    /// Where settings were read from, as the end of a sentence.
    pub fn describe(&self) -> String {
        env_file::describe_search(&self.choice, self.file.as_ref())
    }

    /// Returns the value of a setting and its origin: the first of these names that is set, in flags, then in the
    /// environment, then in the environment file. Files are read for secrets only.
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
        let in_environment = |name: &str| {
            let value = self.environment.get(name)?;
            Some((value.as_str(), SettingOrigin::Environment(name.to_owned())))
        };
        let in_file = |name: &str| {
            let (value, place) = self.file.as_ref()?.find(name)?;
            Some((value, SettingOrigin::EnvFile(place)))
        };
        match find_in(&in_environment, names, secret)? {
            Some(found) => Ok(Some(found)),
            None => find_in(&in_file, names, secret),
        }
    }

    /// Whether a variable is set and not empty.
    pub fn is_set(&self, name: &str) -> bool {
        self.variable(name).is_some()
    }

    /// Whether the environment of the process has a variable that is not empty.
    pub fn is_in_environment(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// What is odd about the environment file.
    pub fn notes(&self) -> Vec<String> {
        let notes = self.file.iter().flat_map(EnvFile::notes);
        notes.chain(names::find_environment_only(self)).collect()
    }

    /// Whether the environment file has a value that the environment replaces by another one.
    pub fn is_overridden(&self, name: &str) -> bool {
        let in_file = self.file.as_ref().and_then(|file| file.value(name));
        let in_environment = self.environment.get(name).filter(|value| !value.trim().is_empty());
        in_file.zip(in_environment).is_some_and(|(file, environment)| file != environment)
    }

    /// The value of a variable, which may be empty.
    pub fn raw_variable(&self, name: &str) -> Option<&str> {
        let in_file = || self.file.as_ref().and_then(|file| file.value(name));
        self.environment.get(name).map(String::as_str).or_else(in_file)
    }

    /// Names of all variables that are not empty, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let in_file = self.file.iter().flat_map(EnvFile::names);
        let names: BTreeSet<&str> =
            self.environment.keys().map(String::as_str).chain(in_file).collect();
        names.into_iter().filter(|name| self.is_set(name))
    }

    /// The value of a variable, unless it is empty. For variables that are not settings.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let in_file = self.file.as_ref().and_then(|file| file.value(name));
        let in_environment = self.environment.get(name).map(String::as_str);
        in_environment
            .filter(|value| !value.is_empty())
            .or(in_file)
            .filter(|value| !value.is_empty())
    }
}

/// The first of these names that has a value, or a file with one, in the environment or the environment file.
fn find_in<'a>(
    variable: &dyn Fn(&str) -> Option<(&'a str, SettingOrigin)>,
    names: &[&str],
    secret: bool,
) -> Result<Option<(String, SettingOrigin)>, String> {
    for name in names {
        if let Some((value, origin)) = variable(name).filter(|(value, _)| !value.trim().is_empty())
        {
            return Ok(Some((value.to_owned(), origin)));
        }
        let file = format!("{name}_FILE");
        if let Some((path, _)) = variable(&file).filter(|(path, _)| secret && !path.is_empty()) {
            let text = read_file(path).map_err(|error| format!("{file}: {path}: {error}"))?;
            return Ok(Some((text, SettingOrigin::File(file))));
        }
        if let Some((_, origin)) = variable(name).filter(|_| SET_TO_NOTHING.contains(name)) {
            return Ok(Some((String::new(), origin)));
        }
    }
    Ok(None)
}

fn read_file(path: &str) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources with these variables in the environment, and a file of this text.
    fn sources(environment: &[(&str, &str)], text: &str) -> Sources {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let choice = FileChoice::Named(file.path().to_owned());
        let file = env_file::read(&choice).unwrap();
        Sources { file, choice, ..Sources::from_variables(environment) }
    }

    #[test]
    fn the_environment_precedes_the_file_also_under_other_names() {
        let text = "POLL_INTERVAL=6\nPORT=1\nBIND=x\nEMPTY=\n";
        let sources = sources(&[("INTERVAL", "5"), ("PORT", ""), ("BIND", " ")], text);
        let find = |names: &[&str]| sources.find(names, false).unwrap().unwrap();
        assert_eq!(find(&["POLL_INTERVAL", "INTERVAL"]).0, "5");
        let (port, origin) = find(&["PORT"]);
        assert!(origin.to_string().ends_with(":2") && port == "1", "{origin}");
        // A variable that is empty counts as unset.
        assert_eq!((sources.variable("PORT"), find(&["BIND"]).0.as_str()), (Some("1"), "x"));
        let names: Vec<_> = sources.names().collect();
        assert_eq!(names, ["BIND", "INTERVAL", "POLL_INTERVAL", "PORT"]);
    }

    #[test]
    fn the_file_may_name_files_with_secrets() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "hidden\n").unwrap();
        let text = format!("LOADBALANCER_SECRET_FILE={}\n", secret.path().display());
        let found = sources(&[], &text).find(&["LOADBALANCER_SECRET"], true).unwrap();
        let origin = SettingOrigin::File("LOADBALANCER_SECRET_FILE".to_owned());
        assert_eq!(found, Some(("hidden".to_owned(), origin)));
    }
}
