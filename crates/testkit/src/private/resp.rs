//! As much of Redis' protocol as it takes to ask a private server about itself, independent of the
//! client that the product uses.

use anyhow::{Context, bail};
use futures_util::future::BoxFuture;
use std::path::Path;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// What Redis answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisReply {
    /// Nothing there.
    Nil,
    /// A number.
    Number(i64),
    /// Text or bytes.
    Text(Vec<u8>),
    /// Several.
    List(Vec<RedisReply>),
}

impl RedisReply {
    /// Its text, with numbers spelled out; empty for anything else.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Nil | Self::List(_) => String::new(),
        }
    }

    /// The texts of a list.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(all) => all.iter().map(Self::text).collect(),
            _ => Vec::new(),
        }
    }
}

/// A connection by the socket.
#[derive(Debug)]
pub(super) struct RespConnection(BufReader<UnixStream>);

impl RespConnection {
    pub(super) async fn open(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket).await?)))
    }

    /// Sends a command and waits for its answer; an answer of an error is one.
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
            let line = line.strip_suffix("\r\n").context("Redis hung up")?;
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
                    let mut all = Vec::new();
                    for _ in 0..rest.parse::<usize>()? {
                        all.push(self.read_reply().await?);
                    }
                    Ok(RedisReply::List(all))
                }
                _ => bail!("Redis sends {line:?}"),
            }
        })
    }
}
