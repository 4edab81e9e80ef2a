//! Checks of settings: wrong values, settings without effect, misspelled names, weak secrets.

use app::ports::Finding;

use crate::config::ignored_settings::WITHOUT_EFFECT;
use crate::config::reading::EffectiveSetting;
use crate::config::sources::SettingOrigin;
use crate::config::values::Secret;
use crate::config::{Config, Sources, StoreSettings, names};

/// Minimum length of a secret that is hard to guess.
const MIN_SECRET_CHARS: usize = 16;
/// Minimum number of distinct characters of such a secret.
const MIN_DISTINCT_CHARS: usize = 8;

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

/// Names the environment file, files that are not read beside it, and odd lines in it.
pub fn check_env_file(sources: &Sources) -> Vec<Finding> {
    let check = "environment file";
    let mut findings =
        vec![Finding::ok(check, format!("settings were read {}", sources.describe()))];
    for path in sources.env_file().iter().flat_map(|file| &file.shadowed) {
        let detail = format!("{} is not read", path.display());
        let advice =
            "only one file is read: move the settings that you need from it, and remove it";
        findings.push(Finding::warn(check, detail, advice));
    }
    findings.extend(
        sources.notes().into_iter().map(|note| Finding::warn(check, note, "look at that line")),
    );
    findings
}

/// Finds variables without effect and probably misspelled ones.
pub fn check_variables(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    let check = |name: &str| format!("setting {name}");
    for (name, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        let detail = format!("has no effect: {reason}");
        let advice = "remove it, if it was set only for scalelite";
        findings.push(Finding::warn(check(name), detail, advice));
    }
    for unknown in names::find_unknown(sources) {
        findings.push(Finding::warn(check(&unknown.name), "unknown setting", unknown.advice()));
    }
    findings
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
    fn weak_secrets_are_recognised() {
        assert!(is_weak("short") && is_weak(&"a".repeat(40)) && is_weak("0123456789abcde"));
        assert!(!is_weak("0123456789abcdef") && !is_weak("lbsecret-of-the-tests"));
    }
}
