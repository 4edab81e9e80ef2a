//! The PROXY protocol (versions 1 and 2): what a trusted proxy says of its client before the first byte of the client.
//! Connections of trusted proxies may begin with it or not. Nobody else's are looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use super::peer::Peer;

/// The beginning of each version.
const BEGINNINGS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n"];
/// Longest header, in bytes. Those of real proxies have a few hundred.
const MAX_HEADER_BYTES: usize = 4096;

/// Returns whether what a client sends first looks like a header of the PROXY protocol.
pub(super) fn is_beginning(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// Reads the header, if there is one. Returns what it tells, and the stream after it.
///
/// # Errors
/// When the connection ends before its first bytes are known, or the header is broken.
pub(super) async fn read_header<S: AsyncRead + Unpin>(
    mut stream: S,
    mut peer: Peer,
) -> io::Result<(PrefixedStream<S>, Peer)> {
    let mut bytes = Vec::with_capacity(256);
    loop {
        if (&mut stream).take(MAX_HEADER_BYTES as u64).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !may_become_header(&bytes) {
            return Ok((PrefixedStream::new(bytes, stream), peer));
        }
        let config = ParseConfig { include_tlvs: true, ..ParseConfig::default() };
        match ProxyHeader::parse(&bytes, config) {
            Ok((header, length)) => {
                peer.told_address =
                    header.proxied_address().map(|told| told.source.ip().to_canonical());
                peer.is_tls |= header.ssl().is_some_and(|tls| tls.client_ssl());
                let rest = bytes.split_off(length.min(bytes.len()));
                return Ok((PrefixedStream::new(rest, stream), peer));
            }
            Err(Error::BufferTooShort) if bytes.len() < MAX_HEADER_BYTES => {}
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Returns whether a header may begin so.
fn may_become_header(bytes: &[u8]) -> bool {
    let begins =
        |beginning: &&[u8]| beginning.iter().zip(bytes).all(|(expected, byte)| expected == byte);
    BEGINNINGS.iter().any(begins)
}

/// A stream of which some bytes were read already.
pub(super) struct PrefixedStream<S> {
    prefix: Vec<u8>,
    taken: usize,
    stream: S,
}

impl<S> PrefixedStream<S> {
    /// A stream of which these bytes were read already.
    pub(super) fn new(prefix: Vec<u8>, stream: S) -> Self {
        Self { prefix, taken: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PrefixedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.prefix.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..count).unwrap_or_default());
        self.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PrefixedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proxy_header::{ProxiedAddress, SslInfo, Tlv};

    use super::*;

    async fn read(bytes: &[u8]) -> io::Result<(String, Peer)> {
        // One byte at a time at first, as a slow network may deliver it.
        let stream = tokio_test_stream(bytes);
        let (mut stream, peer) = read_header(stream, Peer::new(None, true)).await?;
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await?;
        Ok((rest, peer))
    }

    fn tokio_test_stream(bytes: &[u8]) -> impl AsyncRead + Unpin {
        let (first, rest) = bytes.split_at(bytes.len().min(3));
        let (first, rest) = (io::Cursor::new(first.to_vec()), io::Cursor::new(rest.to_vec()));
        first.chain(rest)
    }

    fn addresses() -> ProxiedAddress {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        ProxiedAddress::stream(address("192.0.2.1:4711"), address("10.0.0.1:80"))
    }

    #[tokio::test]
    async fn both_versions_tell_the_client() {
        let (mut v1, mut v2, mut tls) = (Vec::new(), Vec::new(), Vec::new());
        ProxyHeader::with_address(addresses()).encode_v1(&mut v1).unwrap();
        ProxyHeader::with_address(addresses()).encode_v2(&mut v2).unwrap();
        let info = [Tlv::Ssl(SslInfo::new(true, false, false, 0))];
        ProxyHeader::with_tlvs(Some(addresses()), info).encode_v2(&mut tls).unwrap();
        for (mut header, is_tls) in [(v1, false), (v2, false), (tls, true)] {
            assert!(is_beginning(&header));
            header.extend_from_slice(b"GET / HTTP/1.1\r\n");
            let (rest, peer) = read(&header).await.unwrap();
            assert_eq!((rest.as_str(), peer.is_tls), ("GET / HTTP/1.1\r\n", is_tls));
            assert_eq!(peer.client().unwrap().to_string(), "192.0.2.1");
        }
    }

    #[tokio::test]
    async fn a_connection_may_begin_without_a_header() {
        let mut local = Vec::new();
        ProxyHeader::with_local().encode_v2(&mut local).unwrap();
        let health_check = [local.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
        for bytes in [b"GET / HTTP/1.1\r\n".as_slice(), b"PUT / x", b"PROPFIND /", &health_check] {
            let (rest, peer) = read(bytes).await.unwrap();
            assert_eq!((peer.told_address, bytes.ends_with(rest.as_bytes())), (None, true));
        }
    }

    #[tokio::test]
    async fn broken_and_endless_headers_are_refused() {
        let signature = b"\r\n\r\n\x00\r\nQUIT\n";
        let endless = [signature.as_slice(), b"\x21\x11\xff\xff", &[0; 70_000]].concat();
        for bytes in [
            b"PROXY TCP4 a b c d\r\n".as_slice(),
            &[b"PROXY ".as_slice(), &[b'1'; 200]].concat(),
            &endless,
            &[signature.as_slice(), b"\x99\x11\x00\x00"].concat(),
            b"PROXY",
            b"",
        ] {
            assert!(read(bytes).await.is_err(), "{bytes:?}");
        }
    }
}
