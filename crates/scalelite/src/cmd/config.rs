//! `config`: what is set, to what, by whom.

use serde_json::json;

use crate::config::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};
use crate::config::{Config, Sources, read_store_settings, reference};
use crate::output::table::{Cell, render};
use crate::output::{print_line, print_text, printable};

use super::CommandFailure;

/// Prints the settings in force, or the reference of all of them.
pub fn run(sources: &Sources, as_json: bool, as_reference: bool) -> Result<(), CommandFailure> {
    if as_reference {
        print_text(reference::render_page());
        return Ok(());
    }
    let (config, shown) = Config::read(sources).map_err(CommandFailure)?;
    let stores = read_store_settings(&config, sources).map_err(CommandFailure)?;
    if as_json {
        let of = |one: &crate::config::settings::EffectiveSetting| json!({ "name": one.setting.name, "value": one.value, "origin": one.origin.to_string() });
        print_line(json!(shown.iter().map(of).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<_> = shown
        .iter()
        .map(|one| {
            let origin = one.origin.to_string();
            let value = printable(&one.value);
            vec![Cell::text(one.setting.name), Cell::text(value), Cell::text(origin)]
        })
        .collect();
    print_text(render(&["SETTING", "VALUE", "FROM"], &rows));
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        print_line(format!(" {name} is set and has no effect: {why}"));
    }
    for name in NOT_IMPLEMENTED.iter().filter(|name| sources.is_set(name)) {
        print_line(format!(" {name} is set and has no effect yet"));
    }
    let (hot, rest) = stores.describe();
    print_line(printable(&format!(
        " Servers and meetings are kept in {hot}, recordings in {rest}"
    )));
    Ok(())
}
