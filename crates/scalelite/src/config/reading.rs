//! Reads a setting from its sources. A value that is not allowed stops the start, unless the setting is one of the
//! original's and stands in the environment or its file: an environment that works with the original always starts. Such a value is
//! read as the original reads it, or the default is used, and a warning says which.

use super::settings::Setting;
use super::sources::{SettingOrigin, Sources};
use super::values::{OriginalReading, SettingValue};

/// Settings that the original has as well.
pub const ORIGINAL_SETTINGS: &[&str] = &[
    "LOADBALANCER_SECRET",
    "LOADBALANCER_SECRETS",
    "LOADBALANCER_CHECKSUM_ALGORITHM",
    "URL_HOST",
    "BUILD_NUMBER",
    "GET_MEETINGS_API_DISABLED",
    "PORT",
    "BIND",
    "DEFAULT_MEETING_TTL",
    "REDIS_URL",
    "REDIS_NAMESPACE",
    "REDIS_POOL",
    "DATABASE_URL",
    "DATABASE_POOL",
    "DB_DISABLED",
    "POLL_INTERVAL",
    "POLLER_THREADS",
    "POLLER_WAIT_TIMEOUT",
    "CONNECT_TIMEOUT",
    "RESPONSE_TIMEOUT",
    "SERVER_HEALTHY_THRESHOLD",
    "SERVER_UNHEALTHY_THRESHOLD",
    "LOAD_MIN_USER_COUNT",
    "LOAD_JOIN_BUFFER_TIME",
    "SERVER_ID_IS_HOSTNAME",
    "MAX_MEETING_DURATION",
    "CREATE_EXCLUDE_PARAMS",
    "JOIN_EXCLUDE_PARAMS",
    "DEFAULT_CREATE_PARAMS",
    "OVERRIDE_CREATE_PARAMS",
    "DEFAULT_JOIN_PARAMS",
    "OVERRIDE_JOIN_PARAMS",
    "VOICE_BRIDGE_LEN",
    "VOICE_BRIDGE_MIN",
    "VOICE_BRIDGE_MAX",
    "USE_EXTERNAL_VOICE_BRIDGE",
    "FSAPI_PASSWORD",
    "FSAPI_MAX_DURATION",
    "RECORDING_DISABLED",
    "SCALELITE_RECORDING_DIR",
    "RECORDING_SPOOL_DIR",
    "RECORDING_WORK_DIR",
    "RECORDING_PUBLISH_DIR",
    "RECORDING_UNPUBLISH_DIR",
    "RECORDING_IMPORT_POLL",
    "RECORDING_IMPORT_POLL_INTERVAL",
    "RECORDING_IMPORT_UNPUBLISHED",
    "PROTECTED_RECORDINGS_ENABLED",
    "PROTECTED_RECORDINGS_TOKEN_TIMEOUT",
    "PROTECTED_RECORDINGS_TIMEOUT",
    "GET_RECORDINGS_API_FILTERED",
    "RECORDING_PLAYBACK_FORMATS",
    "SECRET_KEY_BASE",
    "DEFAULT_LOCALE",
    "CLOUDFRONT_URL",
    "CF_KEY_PAIR_ID",
    "CF_PRIVATE_KEY_B64",
    "S3_RECORDING",
    "S3_BUCKET_NAME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "MULTITENANCY_ENABLED",
    "RAILS_LOG_LEVEL",
];

/// A setting with its value as text, for display.
#[derive(Clone, Debug)]
pub struct EffectiveSetting {
    /// The setting.
    pub setting: Setting,
    /// The value that is used; `***` if it is secret and not empty.
    pub value: String,
    /// The source of the value.
    pub origin: SettingOrigin,
    /// What is wrong with the value that was given, and what is used instead.
    pub warning: Option<String>,
}

/// Reads a setting, and adds its value as text to `effective`.
///
/// # Errors
/// When the value is not allowed.
pub fn read_setting<T: SettingValue>(
    sources: &Sources,
    setting: Option<&Setting>,
    effective: &mut Vec<EffectiveSetting>,
) -> Result<T, String> {
    let setting = *setting.ok_or("the settings differ from their definitions")?;
    let found = sources.find(&setting.names(), setting.secret)?;
    let (text, origin) = match found {
        Some((text, origin)) if setting.secret => (text, origin),
        Some((text, origin)) => (text.trim().to_owned(), origin),
        None => (setting.default.to_owned(), SettingOrigin::Default),
    };
    let is_lenient = !matches!(origin, SettingOrigin::Flag | SettingOrigin::Default)
        && ORIGINAL_SETTINGS.contains(&setting.name);
    let shown = |text: &str| match setting.secret && !text.is_empty() {
        true => "***".to_owned(),
        false => text.to_owned(),
    };
    let problem = || {
        format!(
            "{}: `{}` is not allowed, it must be {}",
            setting.name,
            shown(&text),
            setting.accepts
        )
    };
    let (value, used, warning) = match T::read(&text) {
        Some(value) => {
            let warning = (setting.switch && is_lenient).then(|| warn_of_switch(&setting, &text));
            (value, text.clone(), warning.flatten())
        }
        None if is_lenient => {
            let (value, used) = read_as_original::<T>(&setting, &text).ok_or_else(problem)?;
            let warning = warn_of_reading(&setting, &problem(), &used);
            (value, used, Some(warning))
        }
        None => return Err(problem()),
    };
    effective.push(EffectiveSetting { setting, value: shown(&used), origin, warning });
    Ok(value)
}

/// A value that is not allowed, as the original reads it; `None` if the original cannot use it either.
fn read_as_original<T: SettingValue>(setting: &Setting, text: &str) -> Option<(T, String)> {
    match T::read_as_original(text) {
        OriginalReading::Value(value, used) => Some((value, used)),
        OriginalReading::Default => Some((T::read(setting.default)?, setting.default.to_owned())),
        OriginalReading::Refused => None,
    }
}

fn warn_of_reading(setting: &Setting, problem: &str, used: &str) -> String {
    if setting.secret {
        return format!("{}: leading or trailing whitespace counts as part of it", setting.name);
    }
    format!("{problem}: {} is used", if used.is_empty() { "nothing" } else { used })
}

/// The original reads only `true` as true.
fn warn_of_switch(setting: &Setting, text: &str) -> Option<String> {
    let is_original_word = ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let is_true = <bool as SettingValue>::read(text) == Some(true);
    (is_true && !is_original_word).then(|| {
        format!("{}: `{text}` counts as true, the original reads only `true` so", setting.name)
    })
}
