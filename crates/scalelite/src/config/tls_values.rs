//! Types of the settings about TLS, and what follows from several of them.

use app::ports::ChallengeKind;

use super::settings::Config;
use super::values::{Names, OriginalReading, PublicHost, SettingValue};
use crate::tls::files::CertificateFiles;

/// The ways in which the authority may check the hosts, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeChallenges(pub Vec<ChallengeKind>);

impl SettingValue for AcmeChallenges {
    const ACCEPTS: &'static str = "auto, http-01 or tls-alpn-01";

    fn read(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self(vec![ChallengeKind::TlsAlpn, ChallengeKind::Http])),
            "http-01" => Some(Self(vec![ChallengeKind::Http])),
            "tls-alpn-01" => Some(Self(vec![ChallengeKind::TlsAlpn])),
            _ => None,
        }
    }

    fn read_as_original(_text: &str) -> OriginalReading<Self> {
        OriginalReading::Refused
    }
}

impl Config {
    /// Returns the files of the certificate; `None` if there are none.
    pub fn certificate_files(&self) -> Option<CertificateFiles> {
        let (certificate, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(CertificateFiles { certificate, key })
    }

    /// Returns whether a port with TLS is served.
    pub fn has_tls(&self) -> bool {
        self.acme || self.tls_cert.is_some()
    }

    /// Returns the hosts that the certificate must be for.
    pub fn certificate_hosts(&self) -> Vec<String> {
        if let Some(Names(hosts)) = self.acme_hosts.as_ref().filter(|_| self.acme) {
            return hosts.clone();
        }
        let hosts = [&self.url_host, &self.playback_host];
        let hosts = hosts.into_iter().flatten().map(PublicHost::host);
        hosts.map(|host| host.trim_matches(['[', ']']).to_ascii_lowercase()).collect()
    }

    /// Checks that the settings about TLS fit together.
    ///
    /// # Errors
    /// When something is missing or contradicts something else. The message names it.
    pub(super) fn check_tls(&self) -> Result<(), String> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return Err("TLS_KEY: it must be set, TLS_CERT needs it".to_owned()),
            (None, Some(_)) => return Err("TLS_CERT: it must be set, TLS_KEY needs it".to_owned()),
            _ => {}
        }
        if !self.acme {
            return Ok(());
        }
        if self.tls_cert.is_some() {
            return Err("ACME: it must not be set together with TLS_CERT: the certificate is either got or given".to_owned());
        }
        if self.acme_eab_key.is_some() != self.acme_eab_key_id.is_some() {
            return Err("ACME_EAB_KEY: it must be set together with ACME_EAB_KEY_ID".to_owned());
        }
        let hosts = self.certificate_hosts();
        match hosts.iter().find(|host| host.contains('*')) {
            Some(_) => Err("ACME_HOSTS: it must be a list of names without *: authorities check those by DNS only, so get such a certificate \
                elsewhere and set TLS_CERT"
                .to_owned()),
            None if hosts.is_empty() => Err("URL_HOST: it must be set, or ACME_HOSTS: ACME needs the names of the certificate".to_owned()),
            None => Ok(()),
        }
    }
}
