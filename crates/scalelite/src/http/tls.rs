//! TLS on connections of clients: the handshake, and whether HTTP/2 is spoken after it.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{Acceptor, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use super::connections::OpenConnection;
use super::proxy_protocol::PrefixedStream;
use crate::tls::CertificateHolder;
use crate::tls::acme::answers::ChallengeAnswers;
use crate::tls::certificate::provider;

/// Largest number of connections of HTTP/2: each has more memory than one of HTTP/1.1, which further clients are offered.
const MAX_HTTP2_CONNECTIONS: usize = 512;
/// The answer to a client that speaks HTTP where TLS is spoken.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This port speaks HTTPS, and was asked by HTTP.\n";
/// The first byte of a handshake.
const HANDSHAKE: u8 = 22;
/// Most bytes that are read to see whether a handshake begins.
const MAX_FIRST_BYTES: usize = 4096;
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";
/// The protocol of the authority of certificates (RFC 8737).
const CHALLENGE: &[u8] = b"acme-tls/1";

/// What TLS connections have in common.
pub struct TlsServer {
    http1: Arc<ServerConfig>,
    /// With HTTP/2, if it is spoken.
    http2: Option<Arc<ServerConfig>>,
    http2_places: Arc<Semaphore>,
    /// Answers to the authority of certificates; `None` without ACME.
    challenges: Option<ChallengeAnswers>,
}

/// A connection after the handshake.
pub(super) struct Secured<S> {
    pub(super) stream: TlsStream<PrefixedStream<S>>,
    /// The place of a connection of HTTP/2; `None` for HTTP/1.1.
    pub(super) http2_place: Option<OwnedSemaphorePermit>,
}

impl TlsServer {
    /// A server with the certificate that the holder has at the time of each handshake.
    ///
    /// # Errors
    /// When the library of cryptography lacks what TLS needs.
    pub fn new(
        holder: Arc<CertificateHolder>,
        challenges: Option<ChallengeAnswers>,
        speaks_http2: bool,
    ) -> Result<Self, String> {
        let build = |protocols: &[&[u8]]| build_config(holder.clone(), protocols);
        let http2 = if speaks_http2 { Some(build(&[HTTP2, HTTP1])?) } else { None };
        let http2_places = Arc::new(Semaphore::new(MAX_HTTP2_CONNECTIONS));
        Ok(Self { http1: build(&[HTTP1])?, http2, http2_places, challenges })
    }

    /// Does the handshake of a connection.
    ///
    /// # Errors
    /// When it fails.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        open: &OpenConnection,
    ) -> io::Result<Secured<S>> {
        let mut first = Vec::with_capacity(MAX_FIRST_BYTES);
        if (&mut stream).take(MAX_FIRST_BYTES as u64).read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first.first() != Some(&HANDSHAKE) {
            open.note_first_bytes(&first);
            stream.write_all(NOT_TLS).await?;
            stream.shutdown().await?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let stream = PrefixedStream::new(first, stream);
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let offers = |protocol: &[u8]| {
            hello.alpn().is_some_and(|mut names| names.any(|name| name == protocol))
        };
        if offers(CHALLENGE) {
            let host = hello.server_name().map(str::to_owned);
            return self.answer_challenge(start, host).await;
        }
        let offers_http2 = offers(HTTP2);
        let place = || self.http2_places.clone().try_acquire_owned().ok();
        let http2 = self.http2.as_ref().filter(|_| offers_http2);
        let (config, place) = match http2.and_then(|config| Some((config, place()?))) {
            Some((config, place)) => (config, Some(place)),
            None => (&self.http1, None),
        };
        let stream = start.into_stream(config.clone()).await?;
        let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
        Ok(Secured { stream, http2_place: place.filter(|_| speaks_http2) })
    }
}

impl TlsServer {
    /// Does the handshake in which the authority of certificates finds its answer (TLS-ALPN-01), and ends the connection.
    async fn answer_challenge<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        start: StartHandshake<PrefixedStream<S>>,
        host: Option<String>,
    ) -> io::Result<Secured<S>> {
        let (Some(challenges), Some(host)) = (&self.challenges, host) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let key = challenges.certificate_for(&host).await.ok_or(io::ErrorKind::NotFound)?;
        let resolver = Arc::new(SingleCertAndKey::from(key));
        let config = build_config(resolver, &[CHALLENGE]).map_err(io::Error::other)?;
        let mut stream = start.into_stream(config).await?;
        stream.shutdown().await?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

fn build_config(
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, String> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]);
    let builder = builder.map_err(|error| format!("TLS cannot be used: {error}"))?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
