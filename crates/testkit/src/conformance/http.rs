//! A client for one HTTP/1.1 exchange that sends target, headers and body byte for byte.

use anyhow::{Context, anyhow, bail};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(30);

/// A request as it goes onto the wire. A body brings its Content-Length.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// An answer; header names in lower case, their values read as Latin-1.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The last header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Sends the request on a connection of its own to a port of this machine.
pub(super) async fn exchange(port: u16, request: &Outgoing) -> anyhow::Result<Answer> {
    let what = || format!("{} {}", request.method, request.target);
    tokio::time::timeout(DEADLINE, talk(port, request))
        .await
        .map_err(|_| anyhow!("no complete answer in {} s", DEADLINE.as_secs()))
        .flatten()
        .with_context(what)
}

async fn talk(port: u16, request: &Outgoing) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(&encode(request)).await?;
    let mut input = Input {
        stream,
        seen: Vec::new(),
    };
    loop {
        let head = input.until(b"\r\n\r\n").await?;
        let mut answer = parse_head(&head)?;
        if answer.status >= 200 {
            answer.body = input.body(&request.method, &answer).await?;
            return Ok(answer);
        }
    }
}

fn encode(request: &Outgoing) -> Vec<u8> {
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

fn parse_head(head: &[u8]) -> anyhow::Result<Answer> {
    let text: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("not a status line: {first:?}"))?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    };
    Ok(Answer {
        status,
        headers: lines.filter_map(header).collect(),
        body: Vec::new(),
    })
}

/// The receiving side of a connection, with what has come in and was not yet asked for.
struct Input {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Input {
    /// False at the end of the stream.
    async fn more(&mut self) -> anyhow::Result<bool> {
        Ok(self.stream.read_buf(&mut self.seen).await? > 0)
    }

    /// What comes before the mark, which is taken too.
    async fn until(&mut self, mark: &[u8]) -> anyhow::Result<Vec<u8>> {
        loop {
            if let Some(at) = self
                .seen
                .windows(mark.len())
                .position(|window| window == mark)
            {
                let taken = self.seen.drain(..at + mark.len()).collect::<Vec<u8>>();
                return Ok(taken[..at].to_vec());
            }
            if !self.more().await? {
                bail!("the connection was closed before the answer was complete");
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        while self.seen.len() < length {
            if !self.more().await? {
                bail!("the body ended after {} of {length} bytes", self.seen.len());
            }
        }
        Ok(self.seen.drain(..length).collect())
    }

    async fn body(&mut self, method: &str, answer: &Answer) -> anyhow::Result<Vec<u8>> {
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return Ok(Vec::new());
        }
        if answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding.contains("chunked"))
        {
            return self.chunks().await;
        }
        if let Some(length) = answer.header("content-length") {
            return self.exactly(length.parse()?).await;
        }
        while self.more().await? {}
        Ok(std::mem::take(&mut self.seen))
    }

    async fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            match size? {
                0 => break,
                size => body.extend(self.exactly(size).await?),
            }
            self.until(b"\r\n").await?;
        }
        while !self.until(b"\r\n").await?.is_empty() {}
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answered(wire: &'static [u8], method: &str) -> (Answer, Vec<u8>) {
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
        let request = Outgoing {
            method: method.to_owned(),
            target: "/%zz?a=\"b".to_owned(),
            headers: vec![("Host".to_owned(), "é".to_owned())],
            body: Some(b"x".to_vec()),
        };
        (
            exchange(port, &request).await.unwrap(),
            server.await.unwrap(),
        )
    }

    #[tokio::test]
    async fn sends_bytes_as_given_and_reads_chunks() {
        let (answer, sent) = answered(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
            "POST",
        )
        .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, b"abcde");
        assert_eq!(answer.header("x-a"), Some("1"));
        let text = String::from_utf8(sent).unwrap();
        assert_eq!(
            text,
            "POST /%zz?a=\"b HTTP/1.1\r\nHost: é\r\nContent-Length: 1\r\n\r\nx"
        );
    }

    #[tokio::test]
    async fn reads_by_length_to_the_end_and_not_at_all() {
        let (by_length, _) =
            answered(b"HTTP/1.1 404 X\r\nContent-Length: 2\r\n\r\nabc", "GET").await;
        assert_eq!((by_length.status, by_length.body), (404, b"ab".to_vec()));
        let (to_the_end, _) = answered(b"HTTP/1.1 200 X\r\n\r\nabc", "GET").await;
        assert_eq!(to_the_end.body, b"abc");
        let (head, _) = answered(b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n", "HEAD").await;
        assert_eq!(head.body, b"");
    }
}
