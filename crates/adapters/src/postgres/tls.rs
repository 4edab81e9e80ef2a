//! TLS to PostgreSQL with rustls, which the other clients use too, and with libpq's meaning of
//! `sslmode`.

use std::sync::Arc;

use app::ports::StoreError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PgAddress, SslMode};

/// Builds the TLS connector for connections to an address.
pub(super) fn build_tls_connector(address: &PgAddress) -> Result<MakeRustlsConnect, StoreError> {
    let setup_error = |error: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!("PostgreSQL: TLS cannot be set up: {error}"))
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| setup_error(&error))?;
    let config = if address.ssl == SslMode::Verify {
        builder.with_root_certificates(load_roots(address).map_err(|text| setup_error(&text))?)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificateVerifier(provider)))
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// Loads the certificates of trusted authorities.
fn load_roots(address: &PgAddress) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &address.root_certificate {
        let file_error = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|error| file_error(&error))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| file_error(&error))?;
            roots.add(certificate).map_err(|error| file_error(&error))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        Err("no certificates of authorities were found".to_owned())
    } else {
        Ok(roots)
    }
}

/// Accepts any certificate, as libpq does below `verify-ca`: this protects against passive
/// eavesdropping only. The signatures of the handshake are still verified, without which there
/// would be no protection at all.
#[derive(Debug)]
struct AnyCertificateVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificateVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
