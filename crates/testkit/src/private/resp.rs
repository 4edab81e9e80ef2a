//! A client for the parts of Redis' protocol that tests need, independent of the client that the
//! product uses.

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use std::path::Path;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// A reply of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisReply {
    /// No value.
    Nil,
    /// An integer.
    Number(i64),
    /// Text or bytes.
    Text(Vec<u8>),
    /// Several replies.
    List(Vec<RedisReply>),
}

impl RedisReply {
    /// The reply as text. A missing value and a list are empty text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::List(_) => String::new(),
        }
    }

    /// The elements of a list as texts.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(replies) => replies.iter().map(Self::text).collect(),
            _ => Vec::new(),
        }
    }
}

/// A connection by the Unix socket.
#[derive(Debug)]
pub(super) struct RespConnection(BufReader<UnixStream>);

impl RespConnection {
    pub(super) async fn open(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket).await?)))
    }

    /// Sends a command and waits for the reply. An error reply is an `Err`.
    pub(super) async fn send_command(&mut self, command: &[&str]) -> anyhow::Result<RedisReply> {
        let mut out = format!("*{}\r\n", command.len());
        for word in command {
            out.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.write_all(out.as_bytes()).await?;
        self.read_reply().await
    }

    fn read_reply(&mut self) -> BoxFuture<'_, anyhow::Result<RedisReply>> {
        Box::pin(async {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.strip_suffix("\r\n").context("Redis closed the connection")?;
            let (kind, rest) = line.split_at_checked(1).context("an empty line")?;
            match kind {
                "+" => Ok(RedisReply::Text(rest.as_bytes().to_vec())),
                "-" => bail!("Redis says: {rest}"),
                ":" => Ok(RedisReply::Number(rest.parse()?)),
                "$" | "*" if rest == "-1" => Ok(RedisReply::Nil),
                "$" => {
                    let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                    self.0.read_exact(&mut bytes).await?;
                    bytes.truncate(bytes.len() - 2);
                    Ok(RedisReply::Text(bytes))
                }
                "*" => {
                    let mut replies = Vec::new();
                    for _ in 0..rest.parse::<usize>()? {
                        replies.push(self.read_reply().await?);
                    }
                    Ok(RedisReply::List(replies))
                }
                _ => bail!("Redis sends {line:?}"),
            }
        })
    }
}
