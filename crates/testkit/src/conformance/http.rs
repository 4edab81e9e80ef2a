//! An HTTP/1.1 client that sends target, headers and body exactly as they are given.

use anyhow::{Context, anyhow, bail};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(30);

/// A request. The client adds a `Content-Length` if there is a body.
#[derive(Debug)]
pub struct ClientRequest {
    /// The method.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// A response. Header names are in lower case, header values are decoded as Latin-1.
#[derive(Debug, Default)]
pub struct ClientResponse {
    /// The status code.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it was chunked.
    pub body: Vec<u8>,
}

impl ClientResponse {
    /// The value of the last header with this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The content of the first element with this name, not decoded; empty if there is none.
    #[must_use]
    pub fn xml_field(&self, name: &str) -> String {
        let text = self.text();
        let after = text.split_once(&format!("<{name}>"));
        let field = after.and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        field.map(|(field, _)| field.to_owned()).unwrap_or_default()
    }
}

/// Sends a request on a new connection to a port of this machine.
///
/// # Errors
/// When there is no complete response in 30 s.
pub async fn exchange(port: u16, request: &ClientRequest) -> anyhow::Result<ClientResponse> {
    let label = || format!("{} {}", request.method, excerpt(&request.target));
    let exchange = async { ClientConnection::open(port).await?.send_request(request).await };
    tokio::time::timeout(DEADLINE, exchange)
        .await
        .map_err(|_| anyhow!("no complete response in {} s", DEADLINE.as_secs()))
        .flatten()
        .with_context(label)
}

fn excerpt(text: &str) -> &str {
    text.get(..500).unwrap_or(text)
}

/// The bytes of a request.
#[must_use]
pub fn encode_request(request: &ClientRequest) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = &request.body {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut wire = head.into_bytes();
    wire.extend(request.body.iter().flatten());
    wire
}

fn parse_head(head: &[u8]) -> anyhow::Result<ClientResponse> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not a status line: {first:?}"))?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    Ok(ClientResponse { status, headers: lines.filter_map(header).collect(), body: Vec::new() })
}

/// A connection, with the received bytes that were not read yet.
#[derive(Debug)]
pub struct ClientConnection<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl ClientConnection<TcpStream> {
    /// Connects to a port of this machine.
    ///
    /// # Errors
    /// When no program listens there.
    pub async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::from_stream(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientConnection<S> {
    /// A connection over an open stream.
    pub fn from_stream(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends a request and reads its response.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn send_request(
        &mut self,
        request: &ClientRequest,
    ) -> anyhow::Result<ClientResponse> {
        self.send(&encode_request(request)).await?;
        self.read_response(&request.method).await
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side has closed.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Reads the response to a request with this method.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn read_response(&mut self, method: &str) -> anyhow::Result<ClientResponse> {
        loop {
            let head = self.read_until(b"\r\n\r\n").await?;
            let mut response = parse_head(&head)?;
            if response.status >= 200 {
                response.body = self.read_body(method, &response).await?;
                return Ok(response);
            }
        }
    }

    /// Reads until the other side closes the connection.
    ///
    /// # Errors
    /// When the connection is reset.
    pub async fn read_to_end(&mut self) -> anyhow::Result<Vec<u8>> {
        while self.fill_buffer().await? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads more bytes; returns false at the end of the stream.
    async fn fill_buffer(&mut self) -> anyhow::Result<bool> {
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Reads up to a delimiter; returns the bytes before it.
    async fn read_until(&mut self, delimiter: &[u8]) -> anyhow::Result<Vec<u8>> {
        loop {
            let found = self.buffer.windows(delimiter.len()).position(|window| window == delimiter);
            if let Some(length) = found {
                let taken = self.buffer.drain(..length + delimiter.len()).collect::<Vec<u8>>();
                return Ok(taken[..length].to_vec());
            }
            if !self.fill_buffer().await? {
                bail!("the connection was closed before the response was complete");
            }
        }
    }

    async fn read_exactly(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.fill_buffer().await? {
                bail!("the body ended after {} of {length} bytes", self.buffer.len());
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn read_body(
        &mut self,
        method: &str,
        response: &ClientResponse,
    ) -> anyhow::Result<Vec<u8>> {
        if method == "HEAD" || response.status == 204 || response.status == 304 {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
            return self.read_chunks().await;
        }
        if let Some(length) = response.header("content-length") {
            return self.read_exactly(length.parse()?).await;
        }
        self.read_to_end().await
    }

    async fn read_chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.read_until(b"\r\n").await?)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            match size? {
                0 => break,
                size => body.extend(self.read_exactly(size).await?),
            }
            self.read_until(b"\r\n").await?;
        }
        while !self.read_until(b"\r\n").await?.is_empty() {}
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn read_from_wire(wire: &'static [u8], method: &str) -> (ClientResponse, Vec<u8>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut input = vec![0; 4096];
            let length = stream.read(&mut input).await.unwrap();
            stream.write_all(wire).await.unwrap();
            input.truncate(length);
            input
        });
        let request = ClientRequest {
            method: method.to_owned(),
            target: "/%zz?a=\"b".to_owned(),
            headers: vec![("Host".to_owned(), "é".to_owned())],
            body: Some(b"x".to_vec()),
        };
        (exchange(port, &request).await.unwrap(), server.await.unwrap())
    }

    #[tokio::test]
    async fn sends_bytes_as_given_and_reads_chunks() {
        let (response, sent) = read_from_wire(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
            "POST",
        )
        .await;
        assert_eq!(response.status, 200);
        assert_eq!(response.body, b"abcde");
        assert_eq!(response.header("x-a"), Some("1"));
        let text = String::from_utf8(sent).unwrap();
        assert_eq!(text, "POST /%zz?a=\"b HTTP/1.1\r\nHost: é\r\nContent-Length: 1\r\n\r\nx");
    }

    #[tokio::test]
    async fn reads_by_length_to_the_end_and_not_at_all() {
        let (by_length, _) =
            read_from_wire(b"HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\nabc", "GET").await;
        assert_eq!((by_length.status, by_length.body), (404, b"ab".to_vec()));
        let (to_the_end, _) = read_from_wire(b"HTTP/1.1 200 X\r\n\r\nabc", "GET").await;
        assert_eq!(to_the_end.body, b"abc");
        let (head, _) =
            read_from_wire(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n", "HEAD").await;
        assert_eq!(head.body, b"");
    }
}
