//! Types of settings that are lists.

use app::notifications::QuietHours;
use bbb::Algorithms;
use domain::address_guard::AllowedHosts;
use domain::parameters::ParameterRules;
use domain::recording::FormatName;

use super::original_values::usable_items;
use super::values::{OriginalReading, SettingValue, read_like, read_list_like};

impl SettingValue for Algorithms {
    const ACCEPTS: &'static str = "a list of SHA1, SHA256, SHA384, SHA512, separated by colons";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_list_like(usable_items(text, ':', |item| Self::parse(item).is_ok()))
    }
}

/// Hosts that callbacks may reach although they are not public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(pub AllowedHosts);

impl SettingValue for Hosts {
    const ACCEPTS: &'static str = "host names, addresses and networks, separated by commas";

    fn read(text: &str) -> Option<Self> {
        AllowedHosts::parse(text).ok().map(Self)
    }
}

/// A part of each day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHoursSetting(pub QuietHours);

impl SettingValue for QuietHoursSetting {
    const ACCEPTS: &'static str = "two times of the day, such as 22:00-06:00";

    fn read(text: &str) -> Option<Self> {
        QuietHours::parse(text).map(Self)
    }
}

/// A list of names, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl SettingValue for Names {
    const ACCEPTS: &'static str = "names, separated by commas";

    fn read(text: &str) -> Option<Self> {
        Some(Self(ParameterRules::parse_names(text)))
    }
}

/// A list of `name=value` pairs, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairsSetting(pub Vec<(String, String)>);

impl SettingValue for PairsSetting {
    const ACCEPTS: &'static str = "name=value pairs, separated by commas";

    fn read(text: &str) -> Option<Self> {
        ParameterRules::parse_pairs(text).ok().map(Self)
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(usable_items(text, ',', |item| ParameterRules::parse_pairs(item).is_ok()))
    }
}

/// A list of playback formats, separated by colons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats(pub Vec<String>);

impl SettingValue for Formats {
    const ACCEPTS: &'static str = "lowercase names, separated by colons";

    fn read(text: &str) -> Option<Self> {
        let names = text.split(':').map(str::trim).filter(|name| !name.is_empty());
        let formats =
            names.map(|name| FormatName::parse(name).map(|name| name.as_str().to_owned()));
        formats.collect::<Option<Vec<_>>>().map(Self)
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(usable_items(text, ':', |item| FormatName::parse(item).is_some()))
    }
}
