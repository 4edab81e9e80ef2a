//! Checks of settings: wrong values, settings without effect, misspelled names, weak secrets.

use app::ports::Finding;

use crate::config::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};
use crate::config::reading::EffectiveSetting;
use crate::config::settings::SETTINGS;
use crate::config::sources::SettingOrigin;
use crate::config::values::Secret;
use crate::config::{Config, Sources, StoreSettings};

/// Minimum length of a secret that is hard to guess.
const MIN_SECRET_CHARS: usize = 16;
/// Minimum number of distinct characters of such a secret.
const MIN_DISTINCT_CHARS: usize = 8;
/// Minimum length of a variable's name to be compared with settings: shorter names are similar by
/// chance.
const MIN_NAME_CHARS: usize = 8;
/// Prefix of variables that only this program uses.
const OWN_PREFIX: &str = "SCALELITE_";
/// Minimum length of a name that may differ from a setting in two characters instead of one.
const LONG_NAME_CHARS: usize = 12;

/// Checks whether the settings could be read.
pub fn check_configuration(read: Result<&[EffectiveSetting], &String>) -> Finding {
    match read {
        Ok(settings) => {
            let is_set = |setting: &&EffectiveSetting| setting.origin != SettingOrigin::Default;
            let count = settings.iter().filter(is_set).count();
            Finding::ok(
                "configuration",
                format!("{count} settings set, the others have their defaults"),
            )
        }
        Err(error) => {
            let advice = "correct it; docs/configuration.md has all settings";
            Finding::fail("configuration", error, advice)
        }
    }
}

/// Finds values that are not allowed and are read as the original reads them.
pub fn check_values(settings: &[EffectiveSetting]) -> Vec<Finding> {
    let warned = settings.iter().filter_map(|setting| Some((setting, setting.warning.as_ref()?)));
    warned
        .map(|(setting, warning)| {
            let name = setting.setting.name;
            let detail = warning.strip_prefix(name).unwrap_or(warning).trim_start_matches(": ");
            Finding::warn(format!("setting {name}"), detail, "correct it")
        })
        .collect()
}

/// Finds environment variables without effect and probably misspelled ones.
pub fn check_variables(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let check = |name: &str| format!("setting {name}");
    for (name, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        let detail = format!("has no effect: {reason}");
        let advice = "remove it, if it was set only for scalelite";
        findings.push(Finding::warn(check(name), detail, advice));
    }
    for name in NOT_IMPLEMENTED.iter().filter(|name| sources.is_set(name)) {
        let advice = "keep the original if you need this feature";
        findings.push(Finding::warn(check(name), "not implemented yet", advice));
    }
    for name in sources.names().filter(|name| !is_known(name)) {
        let advice = match suggest_name(name) {
            Some(suggestion) => format!("did you mean {suggestion}?"),
            None if name.starts_with(OWN_PREFIX) => "`scalelite config` shows all names".to_owned(),
            None => continue,
        };
        findings.push(Finding::warn(check(name), "unknown setting", advice));
    }
    findings
}

/// Names of all settings, those of the original without effect included.
fn known_names() -> impl Iterator<Item = &'static str> {
    let settings =
        SETTINGS.iter().flat_map(|setting| std::iter::once(&setting.name).chain(setting.aliases));
    let ignored = WITHOUT_EFFECT.iter().map(|(name, _)| name).chain(NOT_IMPLEMENTED);
    settings.chain(ignored).copied()
}

fn is_known(name: &str) -> bool {
    let secret = name.strip_suffix("_FILE").unwrap_or(name);
    known_names().any(|known| known == name || known == secret)
}

/// The setting with the most similar name, if it is similar enough to be a misspelling.
fn suggest_name(name: &str) -> Option<&'static str> {
    if name.len() < MIN_NAME_CHARS {
        return None;
    }
    let max_distance = if name.len() < LONG_NAME_CHARS { 1 } else { 2 };
    let similar = known_names()
        .filter(|known| known.len() >= MIN_NAME_CHARS)
        .map(|known| (strsim::levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= max_distance);
    similar.min().map(|(_, known)| known)
}

/// Checks that the secrets of the front-ends are set and hard to guess.
pub fn check_secret(config: &Config, stores: &StoreSettings) -> Finding {
    let check = "LOADBALANCER_SECRET";
    let first = config.loadbalancer_secret.iter().map(|Secret(secret)| secret.as_str());
    let others = config.loadbalancer_secrets.iter().flat_map(|Secret(list)| list.split(':'));
    let secrets: Vec<&str> = first.chain(others).filter(|secret| !secret.is_empty()).collect();
    if secrets.is_empty() {
        return if stores.is_shared() {
            let detail = "not set: each replica would generate its own secret";
            Finding::warn(
                check,
                detail,
                "set the same secret on all replicas: openssl rand -hex 32",
            )
        } else {
            Finding::ok(check, "not set: generated on first start (`scalelite secret` prints it)")
        };
    }
    let weak = secrets.iter().filter(|secret| is_weak(secret)).count();
    if weak == 0 {
        return Finding::ok(check, format!("{} set, long enough", secrets.len()));
    }
    let detail = format!("{weak} of {} are too short or too simple", secrets.len());
    Finding::warn(check, detail, "generate a longer one: openssl rand -hex 32")
}

fn is_weak(secret: &str) -> bool {
    let mut characters: Vec<char> = secret.chars().collect();
    let length = characters.len();
    characters.sort_unstable();
    characters.dedup();
    length < MIN_SECRET_CHARS || characters.len() < MIN_DISTINCT_CHARS
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
        ] {
            assert_eq!(suggest_name(name), Some(setting), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "LANG",
            "HOSTNAME",
            "REDIS_PORT",
            "REDIS_HOST",
            "DATABASE_USER",
            "BINDIR",
        ] {
            assert!(!is_known(name) && suggest_name(name).is_none(), "{name}");
        }
        for name in ["LOADBALANCER_SECRET_FILE", "INTERVAL", "SECRET_KEY_BASE", "RAILS_ENV"] {
            assert!(is_known(name), "{name}");
        }
    }

    #[test]
    fn weak_secrets_are_recognised() {
        assert!(is_weak("short") && is_weak(&"a".repeat(40)) && is_weak("0123456789abcde"));
        assert!(!is_weak("0123456789abcdef") && !is_weak("lbsecret-of-the-tests"));
    }
}
