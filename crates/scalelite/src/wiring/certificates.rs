//! The authority from which the certificate is got.

use std::sync::Arc;

use adapters::acme::{AcmeAuthority, AcmeOptions};
use app::App;
use app::ports::{CertificateAuthority, CertificateState};

use crate::config::Config;
use crate::config::values::{Names, Secret};
use crate::tls::acme::state::SharedState;

/// Builds the client of the authority.
///
/// # Errors
/// When a setting cannot be used.
pub fn build_authority(config: &Config) -> Result<Arc<dyn CertificateAuthority>, String> {
    let secret = |setting: &Option<Secret>| setting.as_ref().map(|Secret(text)| text.clone());
    let options = AcmeOptions {
        directory: config.acme_directory.clone(),
        contacts: config
            .acme_contact
            .as_ref()
            .map(|Names(names)| names.clone())
            .unwrap_or_default(),
        external_account: secret(&config.acme_eab_key_id).zip(secret(&config.acme_eab_key)),
    };
    let authority = AcmeAuthority::new(options, config.acme_ca_file.as_deref());
    Ok(Arc::new(authority.map_err(|error| format!("ACME_CA_FILE: {error}"))?))
}

/// What replicas share of the certificate, in this store.
pub fn share_state(app: &App, store: Arc<dyn CertificateState>) -> SharedState {
    SharedState { store, sealer: app.sealer.clone(), clock: app.clock.clone() }
}
