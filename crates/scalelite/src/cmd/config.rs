//! `config`: what is set, to what, by whom.

use serde_json::json;

use crate::config::passed_over::{NOT_YET, WITHOUT_EFFECT};
use crate::config::{Config, Sources, reference, stores};
use crate::output::table::{Cell, render};
use crate::output::{printable, say, say_text};

use super::Failure;

/// Prints the settings in force, or the reference of all of them.
pub fn run(sources: &Sources, as_json: bool, as_reference: bool) -> Result<(), Failure> {
    if as_reference {
        say_text(reference::page());
        return Ok(());
    }
    let (config, shown) = Config::read(sources).map_err(Failure)?;
    let stores = stores(&config, sources).map_err(Failure)?;
    if as_json {
        let of = |one: &crate::config::settings::Shown| json!({ "name": one.setting.name, "value": one.value, "origin": one.origin.to_string() });
        say(json!(shown.iter().map(of).collect::<Vec<_>>()).to_string());
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
    say_text(render(&["SETTING", "VALUE", "FROM"], &rows));
    for (name, why) in WITHOUT_EFFECT.iter().filter(|(name, _)| sources.is_set(name)) {
        say(format!(" {name} is set and has no effect: {why}"));
    }
    for name in NOT_YET.iter().filter(|name| sources.is_set(name)) {
        say(format!(" {name} is set and has no effect yet"));
    }
    let (hot, rest) = stores.describe();
    say(printable(&format!(" Servers and meetings are kept in {hot}, recordings in {rest}")));
    Ok(())
}
