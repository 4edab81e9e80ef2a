//! What is to be said about settings: wrong, without effect, probably misspelled, or weak.

use app::ports::Finding;

use crate::config::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};
use crate::config::settings::{EffectiveSetting, SETTINGS};
use crate::config::sources::SettingOrigin;
use crate::config::values::Secret;
use crate::config::{Config, Sources, StoreSettings};

/// Fewer characters of a secret can be guessed.
const MIN_SECRET_CHARS: usize = 16;
/// So can those of which only so many are different.
const MIN_DISTINCT_CHARS: usize = 8;
/// Shorter names are like each other by chance.
const MIN_NAME_CHARS: usize = 8;
/// What only our own names begin with.
const OWN_PREFIX: &str = "SCALELITE_";
/// Where longer names begin, in which two letters may be wrong.
const LONG_NAME_CHARS: usize = 12;

/// Whether the settings can be read.
pub fn check_configuration(read: Result<&[EffectiveSetting], &String>) -> Finding {
    match read {
        Ok(shown) => {
            let given = shown.iter().filter(|one| one.origin != SettingOrigin::Default).count();
            Finding::ok(
                "configuration",
                format!("{given} settings given, the others at their defaults"),
            )
        }
        Err(error) => {
            let advice = "correct it; docs/configuration.md has all settings";
            Finding::fail("configuration", error, advice)
        }
    }
}

/// Variables that do less than somebody may expect.
pub fn check_variables(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let check = |name: &str| format!("setting {name}");
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        let detail = format!("has no effect: {why}");
        findings.push(Finding::warn(check(name), detail, "take it out, if it is only for this"));
    }
    for name in NOT_IMPLEMENTED.iter().filter(|name| sources.is_set(name)) {
        let advice = "keep the original if you need what it does";
        findings.push(Finding::warn(check(name), "has no effect yet", advice));
    }
    for name in sources.names().filter(|name| !is_known(name)) {
        let advice = match suggest_name(name) {
            Some(meant) => format!("if it is for scalelite, {meant} may be meant"),
            None if name.starts_with(OWN_PREFIX) => "`scalelite config` shows all names".to_owned(),
            None => continue,
        };
        findings.push(Finding::warn(check(name), "is no setting, and looks like one", advice));
    }
    findings
}

/// All names that mean or meant something.
fn known_names() -> impl Iterator<Item = &'static str> {
    let own = SETTINGS.iter().flat_map(|one| std::iter::once(&one.name).chain(one.aliases));
    let others = WITHOUT_EFFECT.iter().map(|(name, _)| name).chain(NOT_IMPLEMENTED);
    own.chain(others).copied()
}

fn is_known(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    known_names().any(|known| known == name || known == plain)
}

/// The setting that somebody may have meant by a name that is none.
fn suggest_name(name: &str) -> Option<&'static str> {
    if name.len() < MIN_NAME_CHARS {
        return None;
    }
    let wrong_max = if name.len() < LONG_NAME_CHARS { 1 } else { 2 };
    let near = known_names()
        .filter(|known| known.len() >= MIN_NAME_CHARS)
        .map(|known| (edit_distance(name, known), known))
        .filter(|(wrong, _)| *wrong <= wrong_max);
    near.min().map(|(_, known)| known)
}

/// Letters to insert, take out or change to make one name of the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Whether the front-ends' secrets are there and can be trusted.
pub fn check_secret(config: &Config, stores: &StoreSettings) -> Finding {
    let check = "LOADBALANCER_SECRET";
    let one = config.loadbalancer_secret.iter().map(|Secret(secret)| secret.as_str());
    let more = config.loadbalancer_secrets.iter().flat_map(|Secret(list)| list.split(':'));
    let given: Vec<&str> = one.chain(more).filter(|secret| !secret.is_empty()).collect();
    if given.is_empty() {
        return if stores.is_shared() {
            let detail = "not set: each machine would make a secret of its own";
            Finding::warn(check, detail, "set the same on all: openssl rand -hex 32")
        } else {
            Finding::ok(check, "not set: the first start makes one (`scalelite secret`)")
        };
    }
    let weak = given.iter().filter(|secret| is_weak(secret)).count();
    if weak == 0 {
        return Finding::ok(check, format!("{} given, long enough", given.len()));
    }
    let detail = format!("{weak} of {} can be guessed", given.len());
    Finding::warn(check, detail, "make a longer one: openssl rand -hex 32")
}

fn is_weak(secret: &str) -> bool {
    let mut different: Vec<char> = secret.chars().collect();
    let length = different.len();
    different.sort_unstable();
    different.dedup();
    length < MIN_SECRET_CHARS || different.len() < MIN_DISTINCT_CHARS
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
    fn edit_distances_are_symmetric() {
        for (a, b, wrong) in [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abc", 0),
            ("abc", "axc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((edit_distance(a, b), edit_distance(b, a)), (wrong, wrong));
        }
    }

    #[test]
    fn weak_secrets_are_recognised() {
        assert!(is_weak("short") && is_weak(&"a".repeat(40)) && is_weak("0123456789abcde"));
        assert!(!is_weak("0123456789abcdef") && !is_weak("lbsecret-of-the-tests"));
    }
}
