//! `config`: shows all settings with their values and origins.

use serde_json::json;

use crate::config::ignored_settings::WITHOUT_EFFECT;
use crate::config::reading::EffectiveSetting;
use crate::config::{Config, Sources, names, read_store_settings, reference};
use crate::output::table::{Cell, render};
use crate::output::{print_line, print_note, print_text, printable};

use super::CommandFailure;
use super::balancer::{RemoteBalancer, RemoteSetting};

/// Prints the reference of all settings.
pub fn print_reference() {
    print_text(reference::render_page());
}

/// Prints the reference of all metrics.
pub fn print_metrics_reference() {
    print_text(crate::metrics::reference::render_page());
}

/// Checks the settings as a start or reload would, and prints only what is odd, as messages.
pub fn check(sources: &Sources) -> Result<(), CommandFailure> {
    let (config, settings) = Config::read(sources).map_err(CommandFailure)?;
    read_store_settings(&config, sources).map_err(CommandFailure)?;
    let warnings = settings.into_iter().filter_map(|setting| setting.warning);
    for line in warnings.chain(describe_oddities(sources)) {
        print_note(line);
    }
    Ok(())
}

/// Names that are probably mistyped, and odd lines of the environment file.
fn describe_oddities(sources: &Sources) -> Vec<String> {
    let unknown = names::find_unknown(sources).into_iter();
    let unknown = unknown.map(|one| format!("{}: unknown setting, {}", one.name, one.advice()));
    unknown.chain(sources.notes()).collect()
}

/// Prints the settings in effect.
pub fn run(sources: &Sources, as_json: bool) -> Result<(), CommandFailure> {
    let (config, settings) = Config::read(sources).map_err(CommandFailure)?;
    let stores = read_store_settings(&config, sources).map_err(CommandFailure)?;
    if as_json {
        print_line(json!(settings.iter().map(to_json).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<_> = settings.iter().map(table_row).collect();
    print_text(render(&["SETTING", "VALUE", "ORIGIN"], &rows));
    for warning in settings.iter().filter_map(|setting| setting.warning.as_ref()) {
        print_line(printable(&format!(" {warning}")));
    }
    for (name, reason) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        print_line(format!(" {name} is set and has no effect: {reason}"));
    }
    for line in describe_oddities(sources) {
        print_line(printable(&format!(" {line}")));
    }
    print_line(printable(&format!(" Settings were read {}", sources.describe())));
    for path in sources.env_file().iter().flat_map(|file| &file.shadowed) {
        print_line(printable(&format!(" {} is not read", path.display())));
    }
    let (state, recordings) = stores.describe();
    print_line(printable(&format!(
        " Servers and meetings are stored in {state}, recordings in {recordings}"
    )));
    Ok(())
}

/// Prints the settings in effect of another balancer.
pub async fn run_there(remote: &RemoteBalancer, as_json: bool) -> Result<(), CommandFailure> {
    let settings = remote.list_settings().await?;
    if as_json {
        let list: Vec<_> = settings
            .iter()
            .map(|RemoteSetting { name, value, origin, warning }| {
                json!({ "name": name, "value": value, "origin": origin, "warning": warning })
            })
            .collect();
        print_line(json!(list).to_string());
        return Ok(());
    }
    let cell = |text: &str| Cell::text(printable(text));
    let rows: Vec<_> = settings
        .iter()
        .map(|setting| vec![cell(&setting.name), cell(&setting.value), cell(&setting.origin)])
        .collect();
    print_text(render(&["SETTING", "VALUE", "ORIGIN"], &rows));
    for warning in settings.iter().filter_map(|setting| setting.warning.as_ref()) {
        print_line(printable(&format!(" {warning}")));
    }
    Ok(())
}

fn table_row(setting: &EffectiveSetting) -> Vec<Cell> {
    let (value, origin) = (printable(&setting.value), setting.origin.to_string());
    vec![Cell::text(setting.setting.name), Cell::text(value), Cell::text(origin)]
}

fn to_json(setting: &EffectiveSetting) -> serde_json::Value {
    json!({
        "name": setting.setting.name,
        "value": setting.value,
        "origin": setting.origin.to_string(),
        "warning": setting.warning,
    })
}
