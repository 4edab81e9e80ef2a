//! Types of settings. Each type parses its text and describes the accepted values, for error messages
//! and for the reference.

use std::fmt;
use std::path::PathBuf;

use bbb::Algorithms;
use domain::address_guard::AllowedHosts;
use domain::history::HistoryMode;
use domain::parameters::ParameterRules;
use domain::recording::FormatName;

/// A type that a setting can have.
pub trait SettingValue: Sized {
    /// The accepted values, as the end of the sentence "it must be …".
    const ACCEPTS: &'static str;
    /// Whether the value is hidden in all output.
    const SECRET: bool = false;
    /// Whether the type is a boolean, so that its flag needs no value.
    const SWITCH: bool = false;

    /// Parses the text; `None` if it is not accepted.
    fn read(text: &str) -> Option<Self>;
}

impl SettingValue for String {
    const ACCEPTS: &'static str = "text";

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl SettingValue for bool {
    const ACCEPTS: &'static str = "true or false";
    const SWITCH: bool = true;

    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        }
    }
}

impl SettingValue for u16 {
    const ACCEPTS: &'static str = "a port number from 0 to 65535";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl SettingValue for PathBuf {
    const ACCEPTS: &'static str = "a path";

    fn read(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

impl SettingValue for Algorithms {
    const ACCEPTS: &'static str = "a list of SHA1, SHA256, SHA384, SHA512, separated by colons";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const ACCEPTS: &'static str = T::ACCEPTS;
    const SECRET: bool = T::SECRET;

    fn read(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::read(text).map(Some) }
    }
}

/// A whole number, at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

impl SettingValue for Count {
    const ACCEPTS: &'static str = "a whole number, 0 or more";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A whole number, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtLeastOne(pub u32);

impl SettingValue for AtLeastOne {
    const ACCEPTS: &'static str = "a whole number, 1 or more";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 1).map(Self)
    }
}

/// A time in whole seconds, at least 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraceSeconds(pub u32);

impl SettingValue for GraceSeconds {
    const ACCEPTS: &'static str = "a number of seconds from 0 to 86400";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|seconds| *seconds <= 86_400).map(Self)
    }
}

/// A placement policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacementPolicySetting(pub domain::placement::PlacementPolicy);

impl SettingValue for PlacementPolicySetting {
    const ACCEPTS: &'static str = "forecast, reserve or scalelite";

    fn read(text: &str) -> Option<Self> {
        domain::placement::PlacementPolicy::from_name(text).map(Self)
    }
}

/// How the history of ended meetings is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySetting(pub HistoryMode);

impl SettingValue for HistorySetting {
    const ACCEPTS: &'static str = "on, pseudonymous or off";

    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" => Some(Self(HistoryMode::On)),
            "pseudonymous" => Some(Self(HistoryMode::Pseudonymous)),
            "off" | "false" => Some(Self(HistoryMode::Off)),
            _ => None,
        }
    }
}

/// Who tells front-ends that a meeting is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndCallbacksSetting(pub bool);

impl SettingValue for EndCallbacksSetting {
    const ACCEPTS: &'static str = "passthrough or balancer";

    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "balancer" => Some(Self(true)),
            "passthrough" => Some(Self(false)),
            _ => None,
        }
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

/// A number of digits of a voice bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(pub usize);

impl SettingValue for Digits {
    const ACCEPTS: &'static str = "a whole number from 1 to 18";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| (1..=18).contains(number)).map(Self)
    }
}

/// A time in seconds, with fractions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub f64);

impl Seconds {
    /// The time in ms.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked on reading"
    )]
    pub fn ms(self) -> u64 {
        (self.0 * 1000.0).round() as u64
    }
}

impl SettingValue for Seconds {
    const ACCEPTS: &'static str = "a number of seconds greater than 0 and at most 31536000";

    fn read(text: &str) -> Option<Self> {
        let seconds = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= 31_536_000.0);
        seconds.filter(|s| *s >= 0.001).map(Self)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteCount(pub u64);

impl SettingValue for ByteCount {
    const ACCEPTS: &'static str = "a number of bytes, 1024 or more";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number >= 1024).map(Self)
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
}

/// A secret; it is not shown in any output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl SettingValue for Secret {
    const ACCEPTS: &'static str = "a secret without leading or trailing whitespace";
    const SECRET: bool = true;

    fn read(text: &str) -> Option<Self> {
        (text.trim() == text).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The URL of a store, which may contain a password. `super::stores` parses it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(pub String);

impl SettingValue for StoreUrl {
    const ACCEPTS: &'static str = "a URL without leading or trailing whitespace";
    const SECRET: bool = true;

    fn read(text: &str) -> Option<Self> {
        (text.trim() == text).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// A host (`None` for all addresses) and a port (`None` for that of `PORT`).
    Tcp(Option<String>, Option<u16>),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl SettingValue for BindAddress {
    const ACCEPTS: &'static str = "tcp://host:port, unix:///path, [::1] or host:port";

    fn read(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            let path = path.split('?').next().unwrap_or_default();
            return (path.len() > 1 && path.starts_with('/')).then(|| Self::Unix(path.into()));
        }
        let rest = text.strip_prefix("tcp://").unwrap_or(text);
        let rest = rest.split(['?', '/']).next().unwrap_or_default();
        let (host, port) = match rest.strip_prefix('[') {
            Some(v6) => {
                let (host, after) = v6.split_once(']')?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, port),
                None => (rest, ""),
            },
        };
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        let is_host_char = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
        if host.is_empty() && port.is_none() || !host.chars().all(is_host_char) {
            return None;
        }
        Some(Self::Tcp((!host.is_empty()).then(|| host.to_owned()), port))
    }
}

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text lines.
    Text,
    /// A JSON object on each line.
    Json,
}

impl SettingValue for LogFormat {
    const ACCEPTS: &'static str = "text or json";

    fn read(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The lowest level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Details for developers.
    Debug,
    /// One line for each request, and changes of state.
    Info,
    /// Problems that may need attention.
    Warn,
    /// Problems that need attention.
    Error,
}

impl SettingValue for LogLevel {
    const ACCEPTS: &'static str = "debug, info, warn, error or fatal";

    fn read(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" | "fatal" | "unknown" => Some(Self::Error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bind_addresses_are_parsed() {
        let tcp = |host: &str, port| Some(BindAddress::Tcp(Some(host.to_owned()), port));
        assert_eq!(BindAddress::read("tcp://0.0.0.0:3000"), tcp("0.0.0.0", Some(3000)));
        assert_eq!(BindAddress::read("tcp://[::1]:80"), tcp("::1", Some(80)));
        assert_eq!(BindAddress::read("[::1]"), tcp("::1", None));
        assert_eq!(BindAddress::read("localhost"), tcp("localhost", None));
        assert_eq!(BindAddress::read("tcp://:8080"), Some(BindAddress::Tcp(None, Some(8080))));
        assert_eq!(
            BindAddress::read("unix:///run/s.sock"),
            Some(BindAddress::Unix("/run/s.sock".into()))
        );
        for invalid in ["", "tcp://", "unix://", "unix://relative", "tcp://h:port", "a b", "[::1"] {
            assert_eq!(BindAddress::read(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn numbers_have_limits() {
        assert_eq!(Seconds::read("0.2").map(Seconds::ms), Some(200));
        for invalid in ["0", "-1", "NaN", "inf", "1e99", "x"] {
            assert!(Seconds::read(invalid).is_none(), "{invalid}");
        }
        assert!(AtLeastOne::read("0").is_none() && Count::read("-1").is_none());
        assert_eq!(format!("{:?}", Secret("x".to_owned())), "***");
    }
}
