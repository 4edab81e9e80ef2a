//! Certificates made for a test, and clients that check them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use testkit::product::ClientConnection;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The host for which most certificates of the tests are.
pub(crate) const HOST: &str = "balancer.test";

/// An authority that makes certificates.
pub(crate) struct TestAuthority(CertifiedIssuer<'static, KeyPair>);

impl TestAuthority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Makes a certificate for hosts and changes it before it is signed. Returns certificate and key as PEM.
    pub(crate) fn certify_with(
        &self,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes certificate and key for hosts into a folder; returns both paths.
    pub(crate) fn write_files(&self, folder: &Path, hosts: &[&str]) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.certify_with(hosts, |_| {});
        let (certificate_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&certificate_file, certificate).unwrap();
        std::fs::write(&key_file, key).unwrap();
        (certificate_file, key_file)
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The settings of a client that believes this authority alone and offers these protocols.
    pub(crate) fn client_config(&self, protocols: &[&str]) -> ClientConfig {
        client_config(&self.pem(), protocols)
    }
}

/// The settings of a client that believes these authorities alone and offers these protocols.
pub(crate) fn client_config(authorities_pem: &str, protocols: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// Connects from an address of this machine to a port.
pub(crate) async fn connect_from(source: &str, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{source}:0").parse().unwrap())?;
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await
}

/// Does the handshake for a host on an open connection.
pub(crate) async fn start_tls(
    config: ClientConfig,
    stream: TcpStream,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Opens an HTTP/1.1 connection with TLS from an address to a port.
pub(crate) async fn connect_tls(
    config: ClientConfig,
    source: &str,
    port: u16,
) -> std::io::Result<ClientConnection<TlsStream<TcpStream>>> {
    let stream = connect_from(source, port).await?;
    Ok(ClientConnection::from_stream(start_tls(config, stream, HOST).await?))
}
