//! `export`: writes servers and tenants as a file that `apply` reads. Applied again at once, it changes nothing.

use std::collections::HashSet;

use app::apply::{PresentState, WantedServer, effective_value, read_present};
use domain::tenant::Lrs;
use domain::twins::normalize_url;
use domain::{Tenant, TenantSetting};

use crate::cmd::{CommandContext, CommandFailure};
use crate::output::print_line;
use crate::output::yaml::quote_scalar;

/// Fields of a learning record store that are secret.
const LRS_SECRETS: [&str; 3] = ["lrs_password", "kc_client_secret", "kc_password"];

/// Prints the file.
pub async fn run(context: &CommandContext, without_secrets: bool) -> Result<(), CommandFailure> {
    let present = read_present(&context.app).await?;
    print_line("# yaml-language-server: $schema=apply.schema.json");
    print_servers(&present, without_secrets);
    if context.app.policy.multitenancy {
        print_tenants(&present, without_secrets);
    }
    Ok(())
}

/// Prints a field, unless its value is missing.
fn print_field(indent: &str, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        print_line(format!("{indent}{name}: {}", quote_scalar(value)));
    }
}

fn print_servers(present: &PresentState, without_secrets: bool) {
    print_line(if present.servers.is_empty() { "servers: []" } else { "servers:" });
    let mut listed = HashSet::new();
    for server in &present.servers {
        // Two entries that are one server by their URLs are one entry of a file.
        if !listed.insert(normalize_url(&server.url)) {
            continue;
        }
        let wanted = WantedServer::from(server);
        let number = |limit: Option<u32>| limit.map(|number| number.to_string());
        print_line(format!("  - url: {}", quote_scalar(&wanted.url)));
        let secret = wanted.secret.as_deref().filter(|it| !without_secrets && !it.is_empty());
        print_field("    ", "secret", secret);
        print_field("    ", "join_url", wanted.join_url.flatten().as_deref());
        print_line(format!("    load_multiplier: {:?}", server.load_multiplier));
        print_field("    ", "tag", wanted.tag.flatten().as_deref());
        print_line(format!("    state: {}", server.state.name()));
        for (name, limit) in [
            ("max_meetings", server.limits.max_meetings),
            ("max_users", server.limits.max_users),
            ("tier", Some(server.limits.tier)),
        ] {
            if let Some(limit) = number(limit) {
                print_line(format!("    {name}: {limit}"));
            }
        }
    }
}

fn print_tenants(present: &PresentState, without_secrets: bool) {
    print_line(if present.tenants.is_empty() { "tenants: []" } else { "tenants:" });
    for tenant in &present.tenants {
        print_line(format!("  - name: {}", quote_scalar(&tenant.name)));
        if !without_secrets {
            let secrets: Vec<String> = tenant.each_secret().map(quote_scalar_in_list).collect();
            print_line(format!("    secrets: [{}]", secrets.join(", ")));
        }
        print_lrs(tenant, without_secrets);
        print_settings(present, tenant);
    }
}

/// A scalar within brackets, where commas and brackets need quotes as well.
fn quote_scalar_in_list(text: &str) -> String {
    match text.contains([',', '[', ']', '{', '}']) {
        true => serde_json::Value::from(text).to_string(),
        false => quote_scalar(text),
    }
}

fn print_lrs(tenant: &Tenant, without_secrets: bool) {
    let fields = Lrs::FIELDS.into_iter().zip(tenant.lrs.values());
    let fields = fields.filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let is_shown = |name: &str| !(without_secrets && LRS_SECRETS.contains(&name));
    let fields: Vec<_> =
        fields.filter(|(name, value)| is_shown(name) && !value.is_empty()).collect();
    if !fields.is_empty() {
        print_line("    lrs:");
    }
    for (name, value) in fields {
        print_field("      ", name, Some(value));
    }
}

fn print_settings(present: &PresentState, tenant: &Tenant) {
    let own: Vec<&TenantSetting> =
        present.settings.iter().filter(|setting| setting.tenant == tenant.id).collect();
    print_line(if own.is_empty() { "    settings: []" } else { "    settings:" });
    let mut listed = HashSet::new();
    for setting in &own {
        if !listed.insert((&setting.param, setting.is_override)) {
            continue;
        }
        let is_same = |it: &&&TenantSetting| {
            it.param == setting.param && it.is_override == setting.is_override
        };
        let same: Vec<TenantSetting> = own.iter().filter(is_same).map(|it| (*it).clone()).collect();
        print_line(format!("      - param: {}", quote_scalar(&setting.param)));
        print_field("        ", "value", effective_value(&same).map(String::as_str));
        print_line(format!("        override: {}", setting.is_override));
    }
}
