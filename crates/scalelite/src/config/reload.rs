//! What a reload changes: the settings that a running server takes over. All others are named and wait for a restart.

use super::settings::SETTINGS;
use super::{Config, Sources, read_store_settings};

/// Settings that a running server takes over. What is not here needs a restart: sockets, stores, directories, and limits that are
/// in use.
pub const RELOADABLE: &[&str] = &[
    "LOADBALANCER_SECRET",
    "LOADBALANCER_SECRETS",
    "LOADBALANCER_CHECKSUM_ALGORITHM",
    "ACCEPT_FORM_CHECKSUMS",
    "URL_HOST",
    "TRUSTED_PROXIES",
    "HTTPS_REDIRECT",
    "HSTS_MAX_AGE",
    "BUILD_NUMBER",
    "GET_MEETINGS_API_DISABLED",
    "MAX_BODY_BYTES",
    "REQUEST_TIMEOUT",
    "MANAGEMENT_SECRET",
    "MANAGEMENT_REVEAL_SECRET",
    "MANAGEMENT_REQUIRE_TOKENS",
    "METRICS_TOKEN",
    "POLL_INTERVAL",
    "HEARTBEAT_INTERVAL",
    "POLLER_THREADS",
    "POLLER_WAIT_TIMEOUT",
    "CONNECT_TIMEOUT",
    "RESPONSE_TIMEOUT",
    "SERVER_HEALTHY_THRESHOLD",
    "SERVER_UNHEALTHY_THRESHOLD",
    "LOAD_MIN_USER_COUNT",
    "LOAD_JOIN_BUFFER_TIME",
    "MEETING_GRACE",
    "MEETING_REVIVAL_WINDOW",
    "MAX_LISTED_MEETINGS",
    "MAX_MEETING_LIST_BYTES",
    "MAX_ADOPTIONS_PER_HOUR",
    "MAX_DUPLICATE_ENDS_PER_HOUR",
    "SERVER_ID_IS_HOSTNAME",
    "PLACEMENT_POLICY",
    "PLACEMENT_HISTORY",
    "UNTAGGED_MAY_USE_TAGGED",
    "TIER_LOAD_MAX",
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
    "FSAPI_MAX_WRONG_PINS",
    "RECORDING_IMPORT_POLL",
    "RECORDING_IMPORT_POLL_INTERVAL",
    "RECORDING_IMPORT_UNPUBLISHED",
    "PROTECTED_RECORDINGS_TOKEN_TIMEOUT",
    "PROTECTED_RECORDINGS_TIMEOUT",
    "RECORDING_ARCHIVE_MAX_BYTES",
    "RECORDING_ARCHIVE_MAX_RATIO",
    "GET_RECORDINGS_API_FILTERED",
    "RECORDING_TRASH_DAYS",
    "RECORDING_RETENTION_DAYS",
    "RECORDING_RETENTION_TENANT",
    "RECORDING_RETENTION_METADATA",
    "RECORDING_FORGET_DAYS",
    "RECORDING_PLAYBACK_FORMATS",
    "PLAYBACK_HOST",
    "PLAYBACK_PLAYER_DIR",
    "PLAYBACK_CSP",
    "PLAYBACK_X_ACCEL",
    "DEFAULT_LOCALE",
    "LOCALES_DIR",
    "CLOUDFRONT_URL",
    "CF_KEY_PAIR_ID",
    "CF_PRIVATE_KEY_B64",
    "CALLBACK_ALLOW",
    "END_CALLBACKS",
    "CALLBACK_RETENTION_DAYS",
    "CALLBACK_ADDRESS_RETENTION_DAYS",
    "RAILS_LOG_LEVEL",
];

/// A configuration that was read anew.
pub struct Reload {
    /// Where it was read from.
    pub sources: Sources,
    /// The new values of settings that can change, and the values so far of all others.
    pub config: Config,
    /// The names of the settings that change.
    pub changed: Vec<&'static str>,
    /// The names of those that would need a restart.
    pub waiting: Vec<&'static str>,
    /// Warnings about values that are not allowed and are read as the original reads them.
    pub warnings: Vec<String>,
}

impl Reload {
    /// Reads everything anew, and compares it with the values so far. Changes nothing.
    ///
    /// # Errors
    /// When the server could not be started with it.
    pub fn read(sources: &Sources, current: &Config) -> Result<Self, String> {
        let sources = sources.reread()?;
        let (mut config, effective) = Config::read(&sources)?;
        read_store_settings(&config, &sources)?;
        let differences = current.list_differences(&config);
        let (changed, waiting): (Vec<_>, Vec<_>) =
            differences.into_iter().partition(|name| RELOADABLE.contains(name));
        for name in &waiting {
            config.copy_setting(name, current);
        }
        let warnings = effective.into_iter().filter_map(|setting| setting.warning).collect();
        Ok(Self { sources, config, changed, waiting, warnings })
    }

    /// The names of settings whose line in the environment file has no effect, since the environment has another value.
    pub fn list_overridden(&self) -> Vec<&'static str> {
        let names = SETTINGS.iter().map(|setting| setting.name);
        names.filter(|name| self.sources.is_overridden(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reloadable_setting_exists_once() {
        for name in RELOADABLE {
            assert!(SETTINGS.iter().any(|setting| setting.name == *name), "{name}");
            assert_eq!(RELOADABLE.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn what_cannot_change_keeps_its_value() {
        let sources = Sources::from_variables(&[("PORT", "4000"), ("POLL_INTERVAL", "30")]);
        let (current, _) = Config::read(&Sources::from_variables(&[])).unwrap();
        let reload = Reload::read(&sources, &current).unwrap();
        assert_eq!((reload.changed, reload.waiting), (vec!["POLL_INTERVAL"], vec!["PORT"]));
        assert_eq!((reload.config.port, reload.config.poll_interval.ms()), (3000, 30_000));
        let broken = Sources::from_variables(&[("IDLE_TIMEOUT", "soon")]);
        assert!(Reload::read(&broken, &current).is_err());
        let broken = Sources::from_variables(&[("REDIS_URL", "redis://h:x")]);
        assert!(Reload::read(&broken, &current).is_err());
    }
}
