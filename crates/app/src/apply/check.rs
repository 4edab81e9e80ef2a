//! Checks what is wanted before anything is compared or changed.

use std::collections::HashMap;

use domain::Server;
use domain::twins::normalize_url;

use super::plan::PresentState;
use super::wanted::{WantedServer, WantedState, WantedTenant};
use crate::admin::servers::{check_multiplier, check_url};

/// What is wrong with a wanted state, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The place in the file, such as `servers[1].url`.
    pub path: String,
    /// What is wrong, without any secret.
    pub text: String,
}

/// Returns everything that is wrong with a wanted state; nothing is to be applied unless the list is empty.
#[must_use]
pub fn check(wanted: &WantedState, present: &PresentState) -> Vec<FileProblem> {
    let mut problems = Vec::new();
    let servers = wanted.servers.as_deref().unwrap_or_default();
    check_duplicates(
        &mut problems,
        "servers",
        "url",
        servers.iter().map(|it| normalize_url(&it.url)),
    );
    for (n, server) in servers.iter().enumerate() {
        let known = present.find_server(&server.url);
        check_server(&mut problems, &format!("servers[{n}]"), server, known);
    }
    let tenants = wanted.tenants.as_deref().unwrap_or_default();
    let names = tenants.iter().map(|tenant| tenant.name.to_ascii_lowercase());
    check_duplicates(&mut problems, "tenants", "name", names);
    for (n, tenant) in tenants.iter().enumerate() {
        let is_known = present.find_tenant(&tenant.name).is_some();
        check_tenant(&mut problems, &format!("tenants[{n}]"), tenant, is_known);
    }
    problems
}

/// Two entries must not mean the same.
fn check_duplicates(
    problems: &mut Vec<FileProblem>,
    list: &str,
    field: &str,
    keys: impl Iterator<Item = String>,
) {
    let mut first = HashMap::new();
    for (n, key) in keys.enumerate() {
        if let Some(before) = first.insert(key, n) {
            let path = format!("{list}[{n}].{field}");
            problems.push(FileProblem { path, text: format!("{list}[{before}] has the same") });
        }
    }
}

/// Checks a server. What a known one has already is not refused, whatever it is.
fn check_server(
    problems: &mut Vec<FileProblem>,
    path: &str,
    server: &WantedServer,
    known: Option<&Server>,
) {
    let mut add = |field: &str, text: &str| {
        problems.push(FileProblem { path: format!("{path}.{field}"), text: text.to_owned() });
    };
    let url_text = "it must be the URL of an API: http:// or https:// with a host, without user, query and fragment";
    if known.is_none() && check_url(&server.url).is_err() {
        add("url", url_text);
    }
    let has_join_url = |url: &String| known.is_some_and(|it| it.join_url.as_ref() == Some(url));
    if server.join_url.iter().flatten().any(|url| check_url(url).is_err() && !has_join_url(url)) {
        add("join_url", url_text);
    }
    match &server.secret {
        None if known.is_none() => {
            add("secret", "a new server needs secret, secret_file or secret_env");
        }
        Some(secret) if secret.trim().is_empty() => add("secret", "it is empty"),
        _ => {}
    }
    let has_multiplier = |multiplier: f64| {
        known.is_some_and(|it| it.load_multiplier.to_bits() == multiplier.to_bits())
    };
    let is_refused =
        |multiplier| check_multiplier(multiplier).is_err() && !has_multiplier(multiplier);
    if server.load_multiplier.is_some_and(is_refused) {
        add("load_multiplier", "it must be greater than 0 and at most 1000000");
    }
    if server.tag.iter().flatten().any(|tag| tag.is_empty()) {
        add("tag", "it is empty; null removes the tag");
    }
}

fn check_tenant(
    problems: &mut Vec<FileProblem>,
    path: &str,
    tenant: &WantedTenant,
    is_known: bool,
) {
    let mut add = |field: &str, text: &str| {
        problems.push(FileProblem { path: format!("{path}.{field}"), text: text.to_owned() });
    };
    if !is_known && !is_host_label(&tenant.name) {
        add("name", "it must be a label of a host name: letters, digits and dashes, 63 at most");
    }
    match &tenant.secrets {
        None if !is_known => {
            add("secrets", "a new tenant needs secrets, secrets_file or secrets_env");
        }
        Some(secrets) if secrets.split(':').any(|secret| secret.trim().is_empty()) => {
            add("secrets", "there is none, or one of them is empty");
        }
        _ => {}
    }
    let settings = tenant.settings.as_deref().unwrap_or_default();
    for (n, setting) in settings.iter().enumerate() {
        if setting.param.trim().is_empty() {
            add(&format!("settings[{n}].param"), "it is empty");
        }
    }
    let keys = settings.iter().map(|setting| format!("{}\0{}", setting.is_override, setting.param));
    check_duplicates(problems, &format!("{path}.settings"), "param", keys);
}

fn is_host_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
