//! A store of objects of one test's own: moto's server, which speaks S3 and keeps everything in memory.

use super::supervisor::Supervisor;
use super::{
    CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, find_program, free_port, log_tail,
};
use crate::conformance::http::{ClientResponse, exchange};
use crate::product::new_request;
use anyhow::{Context, bail, ensure};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{sleep, timeout};

/// A running `moto_server`. Dropping it kills it and all it keeps.
#[derive(Debug)]
pub struct S3 {
    supervisor: Supervisor,
    port: u16,
    bucket_count: AtomicU32,
}

impl S3 {
    /// An empty one.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let program = find_program("moto_server");
        let program = program.context("moto_server is missing: bin/test installs it")?;
        for _ in 0..MAX_PORT_TRIES {
            let port = free_port()?;
            let arguments =
                ["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
            let mut command = vec![program.clone().into()];
            command.extend(arguments.map(Into::into));
            let keeper = Supervisor::new(create_folder("s3-")?, &command)?;
            let server = Self { supervisor: keeper, port, bucket_count: AtomicU32::new(0) };
            if server.try_start().await? {
                return Ok(server);
            }
        }
        bail!("no port is free for long enough")
    }

    /// Starts the process and waits until it answers; false if somebody took its port.
    async fn try_start(&self) -> anyhow::Result<bool> {
        self.supervisor.start()?;
        let started = timeout(DEADLINE, async {
            while !self.supervisor.is_stopped() {
                if self.send_without_body("GET", "/").await.is_ok_and(|answer| answer.status == 200)
                {
                    return true;
                }
                sleep(CHECK_INTERVAL).await;
            }
            false
        });
        let log = self.supervisor.log_path();
        if started.await.with_context(|| format!("moto does not start; {}", log_tail(&log)))? {
            return Ok(true);
        }
        self.supervisor.reap()?;
        let said = log_tail(&log);
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
    pub async fn create_bucket(&self) -> anyhow::Result<String> {
        let name = format!("bucket-{}", self.bucket_count.fetch_add(1, Ordering::Relaxed));
        let answer = self.send_without_body("PUT", &format!("/{name}")).await?;
        ensure!(answer.status == 200, "no bucket: {}", answer.text());
        Ok(name)
    }

    /// An object as it is stored, to whom it may concern.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn get_object(&self, bucket: &str, key: &str) -> anyhow::Result<ClientResponse> {
        self.send_without_body("GET", &format!("/{bucket}/{key}")).await
    }

    /// The keys of the first thousand objects of a bucket.
    ///
    /// # Errors
    /// When there is no complete answer.
    pub async fn list_keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.send_without_body("GET", &format!("/{bucket}?list-type=2")).await?.text();
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once('<'));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// Puts an object into a bucket, as somebody else would.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn put_object(&self, bucket: &str, key: &str, content: &[u8]) -> anyhow::Result<()> {
        let answer = self.send("PUT", &format!("/{bucket}/{key}"), Some(content)).await?;
        ensure!(answer.status == 200, "not taken: {}", answer.text());
        Ok(())
    }

    async fn send_without_body(
        &self,
        method: &str,
        target: &str,
    ) -> anyhow::Result<ClientResponse> {
        self.send(method, target, (method == "PUT").then_some(b"")).await
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
    ) -> anyhow::Result<ClientResponse> {
        let mut request = new_request(method, target);
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
