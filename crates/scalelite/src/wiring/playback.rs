//! Builds the playback of recordings.

use std::path::Path;
use std::sync::Arc;

use adapters::rsa::RsaKey;
use app::App;
use app::playback::{AccessCookies, Playback};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::WiringError;
use super::data_dir::Creation;
use super::secret_file::{load_or_create_secret, load_secret};
use crate::config::recording_values::SecurityPolicy;
use crate::config::stores::RecordingStoreUrl;
use crate::config::values::Secret;
use crate::config::{Config, StoreSettings};
use crate::http::playback::{Cdn, NotFoundPage, PlaybackService};

/// File of the generated cookie key, in the data directory.
const KEY_BASE_FILE: &str = "secret-key-base";

/// Builds the playback service; `None` without a database or with RECORDING_DISABLED.
pub(super) fn build_playback_service(
    config: &Config,
    app: &App,
    key_base: String,
) -> Result<Option<PlaybackService>, WiringError> {
    let Some(recordings) = app.recording_store.clone().filter(|_| !config.recording_disabled)
    else {
        return Ok(None);
    };
    let valid_ms = i64::from(config.protected_recordings_timeout.0) * 60_000;
    let playback = Playback {
        recordings,
        tokens: app.tokens.clone(),
        blobs: app.blobs.clone(),
        protection_enabled: config.protected_recordings_enabled,
        access_cookies: AccessCookies::new(key_base, valid_ms),
        track_write_lock: Arc::default(),
    };
    let locales = config.locales_dir.as_deref();
    let not_found = NotFoundPage::new(&config.default_locale, locales);
    Ok(Some(PlaybackService {
        playback,
        formats: config.recording_playback_formats.0.clone(),
        x_accel: config.playback_x_accel,
        player_dir: config.playback_player_dir.clone(),
        security_policy: config.playback_csp.clone().map(|SecurityPolicy(policy)| policy),
        not_found_page: not_found.map_err(WiringError::Setting)?,
        cdn: build_cdn(config)?,
    }))
}

/// The key that signs access cookies: the setting, or a generated key if the store is not shared. Empty if there is none, or no
/// recordings to protect.
pub(super) fn load_key_base(
    config: &Config,
    stores: &StoreSettings,
    data_dir: &Path,
    creation: Creation,
) -> Result<String, WiringError> {
    let has_recordings = !matches!(stores.recordings, RecordingStoreUrl::Disabled);
    if !has_recordings || config.recording_disabled {
        return Ok(String::new());
    }
    if let Some(Secret(key)) = config.secret_key_base.as_ref().filter(|key| !key.0.is_empty()) {
        return Ok(key.clone());
    }
    if !stores.is_shared() {
        let path = data_dir.join(KEY_BASE_FILE);
        let key = match creation {
            Creation::Everything => load_or_create_secret(&path),
            // Commands sign no cookies.
            Creation::NamedStore | Creation::Nothing => {
                load_secret(&path).map(Option::unwrap_or_default)
            }
        };
        return key.map_err(|error| WiringError::File(path, error));
    }
    if config.protected_recordings_enabled {
        return Err(WiringError::KeyBaseNeeded(stores.describe().0));
    }
    Ok(String::new())
}

fn build_cdn(config: &Config) -> Result<Option<Cdn>, WiringError> {
    let (Some(url), Some(key_pair_id), Some(Secret(key))) =
        (&config.cloudfront_url, &config.cf_key_pair_id, &config.cf_private_key_b64)
    else {
        return Ok(None);
    };
    let key: String = key.chars().filter(|character| !character.is_whitespace()).collect();
    let pem = STANDARD.decode(key).ok();
    let key = pem.and_then(|pem| RsaKey::from_pem(&pem)).ok_or_else(|| {
        WiringError::Setting(
            "CF_PRIVATE_KEY_B64: it must be an RSA key: PEM, encoded in base64".to_owned(),
        )
    })?;
    let signer = Arc::new(move |message: &[u8]| key.sign(message));
    Ok(Some(Cdn { url: url.clone(), key_pair_id: key_pair_id.clone(), signer }))
}
