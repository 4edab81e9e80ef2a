//! The names of all settings, and the nearest one to a name that is mistyped. Environments and environment files hold names
//! for other programs too, so only names that are near to a setting's, or begin like ours, are taken for mistakes.

use super::Sources;
use super::env_file::FILE_VARIABLE;
use super::ignored_settings::WITHOUT_EFFECT;
use super::settings::SETTINGS;

/// Minimum length of a name to be compared with settings: shorter names are similar by chance.
const MIN_NAME_CHARS: usize = 8;
/// The same in an environment file, where most names are ours.
const MIN_NAME_CHARS_IN_FILE: usize = 4;
/// Minimum length of a name that may differ from a setting in two characters instead of one.
const LONG_NAME_CHARS: usize = 12;
/// Prefix of variables that only this program uses.
const OWN_PREFIX: &str = "SCALELITE_";

/// Variables that are read and are no settings.
const OTHER_VARIABLES: [&str; 4] = [FILE_VARIABLE, "RUST_LOG", "PGUSER", "SCALELITE_API_TOKEN"];

/// A name that is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// The setting that is probably meant.
    pub suggestion: Option<&'static str>,
}

impl UnknownName {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self.suggestion {
            Some(suggestion) => format!("did you mean {suggestion}?"),
            None => "`scalelite config` shows all names".to_owned(),
        }
    }
}

/// Finds names of the environment and the environment file that are probably mistakes.
pub fn find_unknown(sources: &Sources) -> Vec<UnknownName> {
    let in_file = |name: &str| sources.env_file().is_some_and(|file| file.value(name).is_some());
    let names = sources.names().filter(|name| !is_known(name));
    let unknown = names.filter_map(|name| {
        let min_chars = if in_file(name) { MIN_NAME_CHARS_IN_FILE } else { MIN_NAME_CHARS };
        let suggestion = suggest_name(name, min_chars);
        let is_mistake = suggestion.is_some() || name.starts_with(OWN_PREFIX);
        is_mistake.then(|| UnknownName { name: name.to_owned(), suggestion })
    });
    unknown.collect()
}

/// Variables that libraries read in the environment of the process, where a line of the environment file does not get.
const LIBRARY_VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "TZ"];

/// Finds lines of the environment file that have no effect, since only the environment of the process counts.
pub fn find_environment_only(sources: &Sources) -> Vec<String> {
    let places = LIBRARY_VARIABLES.iter().filter(|name| !sources.is_in_environment(name));
    let places = places.filter_map(|name| Some((name, sources.env_file()?.find(name)?.1)));
    let text = "it has no effect here: only the environment of the process counts (in a unit: Environment=)";
    places.map(|(name, place)| format!("{place}: {name}: {text}")).collect()
}

/// Names of all settings, those of the original without effect included.
fn known_names() -> impl Iterator<Item = &'static str> {
    let settings =
        SETTINGS.iter().flat_map(|setting| std::iter::once(&setting.name).chain(setting.aliases));
    let ignored = WITHOUT_EFFECT.iter().map(|(name, _)| name);
    settings.chain(ignored).copied().chain(OTHER_VARIABLES)
}

/// Whether a name is that of a setting, or of the file with its secret.
pub fn is_known(name: &str) -> bool {
    let secret = name.strip_suffix("_FILE").unwrap_or(name);
    known_names().any(|known| known == name || known == secret)
}

/// The setting with the most similar name, if it is similar enough to be a misspelling: small letters, hyphens and a missing
/// prefix are, and one or two wrong, missing or exchanged letters.
fn suggest_name(name: &str, min_chars: usize) -> Option<&'static str> {
    if name.len() < min_chars {
        return None;
    }
    let spelled = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let is_same = |known: &&str| {
        *known == spelled || known.strip_prefix(OWN_PREFIX) == Some(spelled.as_str())
    };
    if let Some(known) = known_names().find(is_same) {
        return Some(known);
    }
    let max_distance = if name.len() < LONG_NAME_CHARS { 1 } else { 2 };
    let similar = known_names()
        .filter(|known| known.len() >= min_chars)
        .map(|known| (strsim::osa_distance(&spelled, known), known))
        .filter(|(distance, _)| *distance <= max_distance);
    similar.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_typos_are_recognised() {
        for (name, setting) in [
            ("POLL_INTERVALL", "POLL_INTERVAL"),
            ("LOADBALANCER_SECRETT", "LOADBALANCER_SECRET"),
            ("LOADBALANCER_SCERET", "LOADBALANCER_SECRET"),
            ("DATABASE_UR", "DATABASE_URL"),
            ("DB_DISABLE", "DB_DISABLED"),
            ("RECORDINGS_DISABLED", "RECORDING_DISABLED"),
            ("SCALELITE_DATADIR", "SCALELITE_DATA_DIR"),
            ("DATA_DIR", "SCALELITE_DATA_DIR"),
            ("poll_interval", "POLL_INTERVAL"),
            ("POLL-INTERVAL", "POLL_INTERVAL"),
        ] {
            assert_eq!(suggest_name(name, MIN_NAME_CHARS), Some(setting), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "LANG",
            "HOSTNAME",
            "REDIS_PORT",
            "REDIS_HOST",
            "DATABASE_USER",
            "POSTGRES_PASSWORD",
            "LETSENCRYPT_EMAIL",
            "BINDIR",
        ] {
            assert!(!is_known(name) && suggest_name(name, MIN_NAME_CHARS).is_none(), "{name}");
        }
        for name in ["LOADBALANCER_SECRET_FILE", "INTERVAL", "SECRET_KEY_BASE", "RAILS_ENV"] {
            assert!(is_known(name), "{name}");
        }
        assert_eq!(suggest_name("PROT", MIN_NAME_CHARS), None);
        assert_eq!(suggest_name("PROT", MIN_NAME_CHARS_IN_FILE), Some("PORT"));
    }
}
