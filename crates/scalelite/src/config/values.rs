//! Types of settings. Each type parses its text and describes the accepted values, for error messages
//! and for the reference. Those of lists and addresses have files of their own.

use std::path::PathBuf;

use domain::history::HistoryMode;

pub use super::address_values::{BindAddress, PublicHost, Secret, StoreUrl};
pub use super::list_values::{Formats, Hosts, Names, PairsSetting, QuietHoursSetting};
use super::original_values::leading_number;
pub use super::proxy_values::ProxyAddresses;
pub use super::tls_values::AcmeChallenges;

/// A value that is not allowed, as the original reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginalReading<T> {
    /// The original makes this of it; the text describes it.
    Value(T, String),
    /// The original makes nothing useful of it: the default is used.
    Default,
    /// The original cannot be used with it either.
    Refused,
}

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

    /// Reads a text that is not accepted as the original reads it.
    fn read_as_original(_text: &str) -> OriginalReading<Self> {
        OriginalReading::Default
    }
}

/// The reading of a text that the original reads like this accepted one.
pub fn read_like<T: SettingValue>(accepted: String) -> OriginalReading<T> {
    T::read(&accepted)
        .map_or(OriginalReading::Default, |value| OriginalReading::Value(value, accepted))
}

/// Like [`read_like`], but without a default.
pub fn read_list_like<T: SettingValue>(accepted: String) -> OriginalReading<T> {
    T::read(&accepted)
        .map_or(OriginalReading::Refused, |value| OriginalReading::Value(value, accepted))
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

    fn read_as_original(_text: &str) -> OriginalReading<Self> {
        OriginalReading::Value(false, "false".to_owned())
    }
}

impl SettingValue for u16 {
    const ACCEPTS: &'static str = "a port number from 0 to 65535";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        match leading_number(text, false).as_str() {
            // Without a number it is not the free port of our own reading of 0.
            "0" => OriginalReading::Default,
            number => read_like(number.to_owned()),
        }
    }
}

impl SettingValue for PathBuf {
    const ACCEPTS: &'static str = "a path";

    fn read(text: &str) -> Option<Self> {
        Some(Self::from(text))
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const ACCEPTS: &'static str = T::ACCEPTS;
    const SECRET: bool = T::SECRET;

    fn read(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::read(text).map(Some) }
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        match T::read_as_original(text) {
            OriginalReading::Value(value, used) => OriginalReading::Value(Some(value), used),
            OriginalReading::Default => OriginalReading::Default,
            OriginalReading::Refused => OriginalReading::Refused,
        }
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

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(leading_number(text, false))
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

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(leading_number(text, false))
    }
}

/// A number of polls in a row, at least 1. The original takes 0 as well, and acts as if it were 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold(pub u32);

impl SettingValue for Threshold {
    const ACCEPTS: &'static str = AtLeastOne::ACCEPTS;

    fn read(text: &str) -> Option<Self> {
        AtLeastOne::read(text).map(|AtLeastOne(number)| Self(number))
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        let number = leading_number(text, false);
        let is_too_small = number.starts_with('-') || number == "0";
        read_like(if is_too_small { "1".to_owned() } else { number })
    }
}

/// A limit in minutes; `None` if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteLimit(pub Option<u32>);

impl SettingValue for MinuteLimit {
    const ACCEPTS: &'static str = Count::ACCEPTS;

    fn read(text: &str) -> Option<Self> {
        Count::read(text).map(|Count(minutes)| Self(Some(minutes).filter(|minutes| *minutes > 0)))
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(leading_number(text, false))
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

/// A number of digits of a voice bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits(pub usize);

impl SettingValue for Digits {
    const ACCEPTS: &'static str = "a whole number from 1 to 18";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| (1..=18).contains(number)).map(Self)
    }

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(leading_number(text, false))
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

    fn read_as_original(text: &str) -> OriginalReading<Self> {
        read_like(leading_number(text, true))
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
    fn numbers_have_limits() {
        assert_eq!(Seconds::read("0.2").map(Seconds::ms), Some(200));
        for invalid in ["0", "-1", "NaN", "inf", "1e99", "x"] {
            assert!(Seconds::read(invalid).is_none(), "{invalid}");
        }
        assert!(AtLeastOne::read("0").is_none() && Count::read("-1").is_none());
        assert_eq!(format!("{:?}", Secret("x".to_owned())), "***");
    }
}
