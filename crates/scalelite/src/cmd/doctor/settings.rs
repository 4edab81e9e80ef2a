//! What is to be said about settings: wrong, without effect, probably misspelled, or weak.

use app::ports::Finding;

use crate::config::passed_over::{NOT_YET, WITHOUT_EFFECT};
use crate::config::settings::{SETTINGS, Shown};
use crate::config::sources::Origin;
use crate::config::values::Secret;
use crate::config::{Config, Sources, Stores};

/// Fewer characters of a secret can be guessed.
const SECRET_CHARS_MIN: usize = 16;
/// So can those of which only so many are different.
const SECRET_DIFFERENT_MIN: usize = 8;
/// Shorter names are like each other by chance.
const NAME_CHARS_MIN: usize = 8;
/// What only our own names begin with.
const OWN: &str = "SCALELITE_";
/// Where longer names begin, in which two letters may be wrong.
const NAME_CHARS_LONG: usize = 12;

/// Whether the settings can be read.
pub fn configuration(read: Result<&[Shown], &String>) -> Finding {
    match read {
        Ok(shown) => {
            let given = shown.iter().filter(|one| one.origin != Origin::Default).count();
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
pub fn noteworthy(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let check = |name: &str| format!("setting {name}");
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        let detail = format!("has no effect: {why}");
        findings.push(Finding::warn(check(name), detail, "take it out, if it is only for this"));
    }
    for name in NOT_YET.iter().filter(|name| sources.is_set(name)) {
        let advice = "keep the original if you need what it does";
        findings.push(Finding::warn(check(name), "has no effect yet", advice));
    }
    for name in sources.names().filter(|name| !is_known(name)) {
        let advice = match meant(name) {
            Some(meant) => format!("if it is for scalelite, {meant} may be meant"),
            None if name.starts_with(OWN) => "`scalelite config` shows all names".to_owned(),
            None => continue,
        };
        findings.push(Finding::warn(check(name), "is no setting, and looks like one", advice));
    }
    findings
}

/// All names that mean or meant something.
fn known() -> impl Iterator<Item = &'static str> {
    let own = SETTINGS.iter().flat_map(|one| std::iter::once(&one.name).chain(one.aliases));
    let others = WITHOUT_EFFECT.iter().map(|(name, _)| name).chain(NOT_YET);
    own.chain(others).copied()
}

fn is_known(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    known().any(|known| known == name || known == plain)
}

/// The setting that somebody may have meant by a name that is none.
fn meant(name: &str) -> Option<&'static str> {
    if name.len() < NAME_CHARS_MIN {
        return None;
    }
    let wrong_max = if name.len() < NAME_CHARS_LONG { 1 } else { 2 };
    let near = known()
        .filter(|known| known.len() >= NAME_CHARS_MIN)
        .map(|known| (distance(name, known), known))
        .filter(|(wrong, _)| *wrong <= wrong_max);
    near.min().map(|(_, known)| known)
}

/// Letters to insert, take out or change to make one name of the other.
fn distance(a: &str, b: &str) -> usize {
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
pub fn secret(config: &Config, stores: &Stores) -> Finding {
    let check = "LOADBALANCER_SECRET";
    let one = config.loadbalancer_secret.iter().map(|Secret(secret)| secret.as_str());
    let more = config.loadbalancer_secrets.iter().flat_map(|Secret(list)| list.split(':'));
    let given: Vec<&str> = one.chain(more).filter(|secret| !secret.is_empty()).collect();
    if given.is_empty() {
        return if stores.shared() {
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
    length < SECRET_CHARS_MIN || different.len() < SECRET_DIFFERENT_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right() {
        for (name, setting) in [
            ("POLL_INTERVALL", "POLL_INTERVAL"),
            ("LOADBALANCER_SECRETT", "LOADBALANCER_SECRET"),
            ("LOADBALANCER_SCERET", "LOADBALANCER_SECRET"),
            ("DATABASE_UR", "DATABASE_URL"),
            ("DB_DISABLE", "DB_DISABLED"),
            ("RECORDINGS_DISABLED", "RECORDING_DISABLED"),
            ("SCALELITE_DATADIR", "SCALELITE_DATA_DIR"),
        ] {
            assert_eq!(meant(name), Some(setting), "{name}");
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
            assert!(!is_known(name) && meant(name).is_none(), "{name}");
        }
        for name in ["LOADBALANCER_SECRET_FILE", "INTERVAL", "SECRET_KEY_BASE", "RAILS_ENV"] {
            assert!(is_known(name), "{name}");
        }
    }

    #[test]
    fn distances() {
        for (a, b, wrong) in [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abc", 0),
            ("abc", "axc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (wrong, wrong));
        }
    }

    #[test]
    fn secrets() {
        assert!(is_weak("short") && is_weak(&"a".repeat(40)) && is_weak("0123456789abcde"));
        assert!(!is_weak("0123456789abcdef") && !is_weak("lbsecret-of-the-tests"));
    }
}
