//! A certificate with its key: reads both, and says in words what is wrong with them.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::output::time::format_time;

/// Most certificates of a chain.
const MAX_CHAIN: usize = 16;
/// Longest time for which is warned that a certificate ends, in ms.
const MAX_WARNING_MS: i64 = 21 * 24 * 3600 * 1000;
/// Most names that a message lists.
const MAX_SHOWN_NAMES: usize = 5;

/// Why a certificate and its key cannot be used. The text is for administrators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("there is no certificate in PEM format in it")]
    NoCertificate,
    #[error("there are more certificates in it than a chain can have")]
    TooManyCertificates,
    #[error("there is no private key in PEM format in it")]
    NoKey,
    #[error("the private key is encrypted: it must be stored without a password")]
    EncryptedKey,
    #[error(
        "the key does not belong to the certificate (the first one of a chain is that of the host)"
    )]
    KeyMismatch,
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    #[error("the private key cannot be used: {0}")]
    UnusableKey(String),
}

impl CertificateError {
    /// Returns whether it is the file of the key that is wrong.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::EncryptedKey | Self::KeyMismatch | Self::UnusableKey(_))
    }
}

/// A certificate with its key, ready for handshakes.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub facts: CertificateFacts,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    leaf: CertificateDer<'static>,
}

/// The cryptography of all handshakes.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Certificate {
    /// Reads a certificate, with the chain that leads to its authority, and its key, both in PEM format.
    ///
    /// # Errors
    /// When they cannot be used together.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let unreadable = |error: pem::Error| CertificateError::Unreadable(error.to_string());
        let (chain, key) = (without_mark(chain), without_mark(key));
        let chain = CertificateDer::pem_slice_iter(chain).take(MAX_CHAIN + 1);
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        if chain.len() > MAX_CHAIN {
            return Err(CertificateError::TooManyCertificates);
        }
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?.clone();
        let facts = CertificateFacts::read(leaf)?;
        let key = read_key(key)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => CertificateError::KeyMismatch,
            error => CertificateError::UnusableKey(error.to_string()),
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }
}

/// Returns a text without the mark that some editors put before it.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let is_encrypted = text.windows(9).any(|part| part == b"ENCRYPTED");
            if is_encrypted { CertificateError::EncryptedKey } else { CertificateError::NoKey }
        }
        error => CertificateError::UnusableKey(error.to_string()),
    })
}

impl CertificateFacts {
    fn read(leaf: CertificateDer<'static>) -> Result<Self, CertificateError> {
        let unreadable =
            |error: x509_cert::der::Error| CertificateError::Unreadable(error.to_string());
        let parsed = x509_cert::Certificate::from_der(&leaf).map_err(unreadable)?;
        let times = parsed.tbs_certificate.validity;
        let names = parsed.tbs_certificate.get::<SubjectAltName>().map_err(unreadable)?;
        let names = names.map(|(_, names)| names.0.iter().filter_map(show_name).collect());
        Ok(Self {
            not_before: timestamp(times.not_before.to_unix_duration()),
            not_after: timestamp(times.not_after.to_unix_duration()),
            names: names.unwrap_or_default(),
            leaf,
        })
    }

    /// Returns whether it is for a host.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).to_owned();
        let (Ok(parsed), Ok(name)) =
            (ParsedCertificate::try_from(&self.leaf), ServerName::try_from(host))
        else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }

    /// Returns what is wrong with it for these hosts at this time, in words.
    pub fn problems(&self, hosts: &[String], now: Timestamp) -> Vec<String> {
        let mut problems = Vec::new();
        if now.0 >= self.not_after.0 {
            problems
                .push(format!("the certificate has expired on {}", format_time(self.not_after)));
        }
        if now.0 < self.not_before.0 {
            problems.push(format!(
                "the certificate is valid only from {}",
                format_time(self.not_before)
            ));
        }
        for host in hosts.iter().filter(|host| !self.covers(host)) {
            problems
                .push(format!("the certificate is not for {host}, but for {}", self.shown_names()));
        }
        problems
    }

    /// Returns the part of its life that is left, in days.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        (self.not_after.0 - now.0).div_euclid(24 * 3600 * 1000)
    }

    /// Returns whether so little is left of its life that it should have been renewed long ago.
    pub fn ends_soon(&self, now: Timestamp) -> bool {
        let life_ms = self.not_after.0.saturating_sub(self.not_before.0);
        self.not_after.0.saturating_sub(now.0) < (life_ms / 6).min(MAX_WARNING_MS)
    }

    /// Returns when two thirds of its life are over.
    pub fn renewal_time(&self) -> Timestamp {
        Timestamp(self.not_before.0 + (self.not_after.0 - self.not_before.0) / 3 * 2)
    }

    fn shown_names(&self) -> String {
        match self.names.len() {
            0 => "no name".to_owned(),
            count if count > MAX_SHOWN_NAMES => {
                let shown = self.names.get(..MAX_SHOWN_NAMES).unwrap_or_default();
                format!("{} and {} more", shown.join(", "), count - MAX_SHOWN_NAMES)
            }
            _ => self.names.join(", "),
        }
    }
}

fn show_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(bytes.as_bytes())
                .ok()
                .map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
        },
        _ => None,
    }
}

fn timestamp(since_epoch: Duration) -> Timestamp {
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn make(hosts: &[&str]) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let (certificate, key) = make(&["lb.test"]);
        let (other, other_key) = make(&["lb.test"]);
        let read = |chain: &str, key: &str| {
            Certificate::read(chain.as_bytes(), key.as_bytes()).map(|_| ())
        };
        assert_eq!(read(&certificate, &key), Ok(()));
        assert_eq!(read(&format!("{certificate}{other}"), &key), Ok(()));
        assert_eq!(read(&format!("\u{feff}{certificate}").replace('\n', "\r\n"), &key), Ok(()));
        assert_eq!(
            read(&format!("{other}{certificate}"), &key),
            Err(CertificateError::KeyMismatch)
        );
        assert_eq!(read(&certificate, &other_key), Err(CertificateError::KeyMismatch));
        assert_eq!(read(&certificate, ""), Err(CertificateError::NoKey));
        assert_eq!(read(&certificate, &certificate), Err(CertificateError::NoKey));
        assert_eq!(read("", &key), Err(CertificateError::NoCertificate));
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(read(&certificate, encrypted), Err(CertificateError::EncryptedKey));
        let cut = certificate.get(..certificate.len() / 2).unwrap();
        assert!(read(cut, &key).is_err());
        assert_eq!(read(&certificate.repeat(17), &key), Err(CertificateError::TooManyCertificates));
    }

    #[test]
    fn what_is_wrong_is_said_in_words() {
        let (certificate, key) = make(&["lb.test", "*.lb.test", "192.0.2.1"]);
        let facts = Certificate::read(certificate.as_bytes(), key.as_bytes()).unwrap().facts;
        for host in ["LB.test", "acme.lb.test", "192.0.2.1"] {
            assert!(facts.covers(host), "{host}");
        }
        let hosts = ["play.test".to_owned()];
        let [valid, early, late] = [1_770_000_000_000, 0, 1_800_000_000_000].map(Timestamp);
        let wrong_host =
            "the certificate is not for play.test, but for lb.test, *.lb.test, 192.0.2.1";
        assert_eq!(facts.problems(&[], valid), [] as [&str; 0]);
        assert_eq!(facts.problems(&hosts, valid), [wrong_host]);
        assert_eq!(
            facts.problems(&[], early),
            ["the certificate is valid only from 2026-01-01T00:00:00Z"]
        );
        assert_eq!(
            facts.problems(&[], late),
            ["the certificate has expired on 2026-04-01T00:00:00Z"]
        );
        assert_eq!(format_time(facts.renewal_time()), "2026-03-02T00:00:00Z");
        assert_eq!(facts.days_left(Timestamp(facts.not_after.0 - 1)), 0);
        assert_eq!(facts.days_left(Timestamp(facts.not_after.0 + 1)), -1);
    }
}
