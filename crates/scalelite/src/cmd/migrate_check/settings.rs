//! Rows for the settings of the original's environment file, and for variables that stand elsewhere.

use std::path::Path;

use super::deployment::Deployment;
use super::rows::Row;
use crate::config::env_file::EnvFile;
use crate::config::ignored_settings::WITHOUT_EFFECT;
use crate::config::reading::EffectiveSetting;
use crate::config::settings::{SETTINGS, Setting};
use crate::config::{Sources, names};

/// Variables of the original's units and compose files that are no settings, and what they were for.
const DEPLOYMENT_VARIABLES: &[(&str, &str)] = &[
    ("SCALELITE_TAG", "it named the version of the original's images"),
    (
        "SCALELITE_NGINX_EXTRA_OPTS",
        "what it mounted into nginx, such as certificates, is for your proxy now",
    ),
    ("SCALELITE_API_EXTRA_OPTS", "there is no container of the original any more"),
    ("SCALELITE_DOCKER_TAG", "it named the version of the original's images"),
    ("NGINX_HOSTNAME", "it configured the original's nginx"),
    ("LETSENCRYPT_EMAIL", "it configured certbot beside the original"),
    ("COMPOSE_FILE", "docker compose reads it"),
    ("COMPOSE_PROJECT_NAME", "docker compose reads it"),
    ("POSTGRES_USER", "the image of PostgreSQL reads it"),
    ("POSTGRES_PASSWORD", "the image of PostgreSQL reads it"),
    ("POSTGRES_DB", "the image of PostgreSQL reads it"),
];
/// Settings without which nothing that was signed before stays valid.
const REQUIRED: [(&str, &[&str], &str); 2] = [
    (
        "LOADBALANCER_SECRET",
        &["LOADBALANCER_SECRET", "LOADBALANCER_SECRETS"],
        "front-ends could not call: put LOADBALANCER_SECRET into the file",
    ),
    (
        "SECRET_KEY_BASE",
        &["SECRET_KEY_BASE"],
        "cookies of protected recordings would become invalid: put SECRET_KEY_BASE into the file",
    ),
];
/// What is shown of a secret.
const HIDDEN: &str = "***";
/// Longest value that is shown, in characters.
const MAX_SHOWN_CHARS: usize = 60;

/// Rows for the variables of the file. `effective` are the settings as this program reads them.
pub fn check_file(theirs: &Sources, effective: &[EffectiveSetting]) -> Vec<Row> {
    let notes = theirs.env_file().into_iter().flat_map(EnvFile::notes);
    let mut rows: Vec<Row> =
        theirs.names().map(|name| check_variable(theirs, name, effective)).collect();
    rows.extend(notes.map(|note| Row::note("the environment file", "read", note)));
    for (name, alternatives, advice) in REQUIRED {
        let is_set = alternatives
            .iter()
            .any(|name| theirs.is_set(name) || theirs.is_set(&format!("{name}_FILE")));
        if !is_set {
            rows.push(Row::act(format!("{name} (not set)"), "", advice));
        }
    }
    if theirs.raw_variable("NGINX_SSL").is_some_and(|value| value.trim() == "true") {
        rows.push(Row::note(
            "HTTPS by the original's nginx",
            "PORT",
            "it is your proxy's now, or TLS_CERT and TLS_KEY name the certificate",
        ));
    }
    rows
}

fn check_variable(theirs: &Sources, name: &str, effective: &[EffectiveSetting]) -> Row {
    let value = theirs.raw_variable(name).unwrap_or_default();
    if let Some(setting) = find_setting(name) {
        let shown = |value: &str| shorten(if setting.secret { HIDDEN } else { value });
        let left = format!("{name}={}", shown(value));
        let used = effective.iter().find(|one| one.setting.name == setting.name);
        let ours = used
            .map_or_else(String::new, |one| format!("{}={}", setting.name, shorten(&one.value)));
        return match used.and_then(|one| one.warning.as_deref()) {
            Some(warning) => Row::note(left, ours, warning),
            None => Row::ok(left, ours),
        };
    }
    if let Some((_, reason)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == name) {
        return Row::note(name, "not needed", *reason);
    }
    if let Some((_, reason)) = DEPLOYMENT_VARIABLES.iter().find(|(known, _)| *known == name) {
        return Row::note(name, "not needed", *reason);
    }
    let unknown = names::find_unknown(theirs).into_iter().find(|unknown| unknown.name == name);
    match unknown.and_then(|unknown| unknown.suggestion) {
        Some(suggestion) => Row::note(
            name,
            "unknown",
            format!("the original does not know it either: did you mean {suggestion}?"),
        ),
        None => Row::note(name, "unknown", "it has no effect"),
    }
}

/// Rows for variables that a compose file or unit sets, and the file does not.
pub fn check_elsewhere(theirs: &Sources, deployment: &Deployment) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for variable in &deployment.variables {
        let Some(setting) = find_setting(&variable.name) else { continue };
        let value = shorten(if setting.secret { HIDDEN } else { &variable.value });
        let left = format!("{}={value} ({})", variable.name, variable.place);
        let row = match theirs.raw_variable(&variable.name).filter(|own| !own.is_empty()) {
            Some(own) if own.trim() == variable.value.trim() => {
                Row::ok(left, variable.name.clone())
            }
            Some(_) => Row::act(
                left,
                "another value",
                format!("the containers get this value: write {} so into the file", variable.name),
            ),
            None => Row::act(
                left,
                "not set",
                format!(
                    "write {} into the file: this program reads no compose file or unit",
                    variable.name
                ),
            ),
        };
        // Several services have the same variables.
        if !rows.iter().any(|known| same_variable(known, &row)) {
            rows.push(row);
        }
    }
    rows
}

/// Whether two rows are about the same value of the same variable, set in two places.
fn same_variable(a: &Row, b: &Row) -> bool {
    let name = |row: &Row| row.theirs.split(" (").next().unwrap_or_default().to_owned();
    name(a) == name(b) && a.outcome == b.outcome
}

/// A row for each environment file that containers read besides the one that is checked.
pub fn check_env_files(file: &Path, deployment: &Deployment) -> Vec<Row> {
    let same = |other: &Path| {
        other == file
            || other.canonicalize().ok().zip(file.canonicalize().ok()).is_some_and(|(a, b)| a == b)
    };
    let mut others: Vec<&Path> = deployment
        .env_files
        .iter()
        .map(std::path::PathBuf::as_path)
        .filter(|other| !same(other))
        .collect();
    others.sort_unstable();
    others.dedup();
    let row = |other: &Path| {
        let advice = "the containers read this file as well: check it too, and put its settings into one file";
        Row::note(other.display().to_string(), "not read", advice)
    };
    others.into_iter().map(row).collect()
}

/// The setting of that name, also of one that names a file with the secret.
fn find_setting(name: &str) -> Option<&'static Setting> {
    let find = |name: &str| {
        SETTINGS.iter().find(|setting| setting.name == name || setting.aliases.contains(&name))
    };
    find(name).or_else(|| find(name.strip_suffix("_FILE")?).filter(|setting| setting.secret))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
