//! A store of objects of one test's own: moto's server, which speaks S3 and keeps everything in memory.

use super::keeper::Keeper;
use super::{DEADLINE, LOOK_EVERY, PORTS_TRIED, folder, free_port, in_path, story};
use crate::conformance::http::{Answer, exchange};
use crate::product::outgoing;
use anyhow::{Context, bail, ensure};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{sleep, timeout};

/// A running `moto_server`. Dropping it kills it and all it keeps.
#[derive(Debug)]
pub struct S3 {
    keeper: Keeper,
    port: u16,
    buckets: AtomicU32,
}

impl S3 {
    /// An empty one.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let program = in_path("moto_server");
        let program = program.context("moto_server is missing: bin/test installs it")?;
        for _ in 0..PORTS_TRIED {
            let port = free_port()?;
            let arguments =
                ["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
            let mut command = vec![program.clone().into()];
            command.extend(arguments.map(Into::into));
            let keeper = Keeper::new(folder("s3-")?, &command)?;
            let server = Self { keeper, port, buckets: AtomicU32::new(0) };
            if server.run().await? {
                return Ok(server);
            }
        }
        bail!("no port is free for long enough")
    }

    /// Starts the process and waits until it answers; false if somebody took its port.
    async fn run(&self) -> anyhow::Result<bool> {
        self.keeper.start()?;
        let started = timeout(DEADLINE, async {
            while !self.keeper.is_over() {
                if self.ask("GET", "/").await.is_ok_and(|answer| answer.status == 200) {
                    return true;
                }
                sleep(LOOK_EVERY).await;
            }
            false
        });
        let log = self.keeper.log();
        if started.await.with_context(|| format!("moto does not start; {}", story(&log)))? {
            return Ok(true);
        }
        self.keeper.bury()?;
        let said = story(&log);
        if said.contains("in use") { Ok(false) } else { bail!("moto does not start; {said}") }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A new bucket that nobody else has.
    ///
    /// # Errors
    /// When it is not made.
    pub async fn bucket(&self) -> anyhow::Result<String> {
        let name = format!("bucket-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        let answer = self.ask("PUT", &format!("/{name}")).await?;
        ensure!(answer.status == 200, "no bucket: {}", answer.text());
        Ok(name)
    }

    /// An object as it is stored, to whom it may concern.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn object(&self, bucket: &str, key: &str) -> anyhow::Result<Answer> {
        self.ask("GET", &format!("/{bucket}/{key}")).await
    }

    /// The keys of the first thousand objects of a bucket.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.ask("GET", &format!("/{bucket}?list-type=2")).await?.text();
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once('<'));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// Puts an object into a bucket, as somebody else would.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn put(&self, bucket: &str, key: &str, content: &[u8]) -> anyhow::Result<()> {
        let answer = self.send("PUT", &format!("/{bucket}/{key}"), Some(content)).await?;
        ensure!(answer.status == 200, "not taken: {}", answer.text());
        Ok(())
    }

    async fn ask(&self, method: &str, target: &str) -> anyhow::Result<Answer> {
        self.send(method, target, (method == "PUT").then_some(b"")).await
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
    ) -> anyhow::Result<Answer> {
        let mut request = outgoing(method, target);
        // It verifies no signature, but who shows none gets nothing that is private.
        let somebody = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, \
            SignedHeaders=host, Signature=none";
        request.headers = vec![
            ("Host".to_owned(), format!("127.0.0.1:{}", self.port)),
            ("Authorization".to_owned(), somebody.to_owned()),
        ];
        request.body = body.map(<[u8]>::to_vec);
        exchange(self.port, &request).await
    }
}
