//! Private S3 servers: `moto_server`, which implements S3 and keeps everything in memory.

use super::shared::{ServerAddress, find_or_start, unique_name};
use super::supervisor::{Lifetime, Supervisor};
use super::{
    CHECK_INTERVAL, DEADLINE, MAX_PORT_TRIES, create_folder, find_program, free_port, log_tail,
};
use crate::conformance::http::{ClientResponse, exchange};
use crate::product::new_request;
use anyhow::{Context, bail, ensure};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::{sleep, timeout};

/// A running `moto_server`. Dropping this kills the server, unless it is shared.
#[derive(Debug)]
pub struct S3 {
    supervisor: Supervisor,
    port: u16,
    /// The beginning of the names of buckets.
    bucket_prefix: String,
    bucket_count: AtomicU32,
}

impl S3 {
    /// Starts an empty server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_for(&Lifetime::Supervisor).await
    }

    /// Returns the server that all tests of this run share, and starts it if it is not running yet.
    /// Use buckets of your own.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn shared() -> anyhow::Result<Self> {
        let address = find_or_start("s3", async |lifetime| {
            let server = Self::start_for(&lifetime).await?;
            Ok(ServerAddress { folder: server.supervisor.folder().to_owned(), port: server.port })
        });
        let ServerAddress { folder, port } = address.await?;
        Ok(Self {
            supervisor: Supervisor::of_another_process(folder),
            port,
            bucket_prefix: format!("bucket-{}", unique_name()),
            bucket_count: AtomicU32::new(0),
        })
    }

    async fn start_for(lifetime: &Lifetime) -> anyhow::Result<Self> {
        let program = find_program("moto_server");
        let program = program.context("moto_server is missing: bin/test installs it")?;
        for _ in 0..MAX_PORT_TRIES {
            let port = free_port()?;
            let arguments =
                ["-H".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
            let mut command = vec![program.clone().into()];
            command.extend(arguments.map(Into::into));
            let server = Self {
                supervisor: Supervisor::new(create_folder("s3-")?, &command, lifetime)?,
                port,
                bucket_prefix: "bucket".to_owned(),
                bucket_count: AtomicU32::new(0),
            };
            if server.try_start().await? {
                return Ok(server);
            }
        }
        bail!("each port was taken before the server had started")
    }

    /// Starts the process and waits until it answers. Returns false if another program took its
    /// port.
    async fn try_start(&self) -> anyhow::Result<bool> {
        self.supervisor.start()?;
        let started = timeout(DEADLINE, async {
            while !self.supervisor.is_stopped() {
                if self
                    .send_without_body("GET", "/")
                    .await
                    .is_ok_and(|response| response.status == 200)
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
        let tail = log_tail(&log);
        if tail.contains("in use") { Ok(false) } else { bail!("moto does not start; {tail}") }
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Creates a bucket and returns its name, a new one each time.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn create_bucket(&self) -> anyhow::Result<String> {
        let number = self.bucket_count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.bucket_prefix);
        let response = self.send_without_body("PUT", &format!("/{name}")).await?;
        ensure!(response.status == 200, "the bucket is not created: {}", response.text());
        Ok(name)
    }

    /// Returns the response to a GET of an object.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn get_object(&self, bucket: &str, key: &str) -> anyhow::Result<ClientResponse> {
        self.send_without_body("GET", &format!("/{bucket}/{key}")).await
    }

    /// Returns the keys of the first thousand objects of a bucket.
    ///
    /// # Errors
    /// When there is no complete response.
    pub async fn list_keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.send_without_body("GET", &format!("/{bucket}?list-type=2")).await?.text();
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split_once('<'));
        Ok(keys.map(|(key, _)| key.to_owned()).collect())
    }

    /// Puts an object into a bucket, as another program would.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn put_object(&self, bucket: &str, key: &str, content: &[u8]) -> anyhow::Result<()> {
        let response = self.send("PUT", &format!("/{bucket}/{key}"), Some(content)).await?;
        ensure!(response.status == 200, "the object is not stored: {}", response.text());
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
        // moto verifies no signature, but refuses private objects to requests without one.
        let authorization = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, \
            SignedHeaders=host, Signature=none";
        request.headers = vec![
            ("Host".to_owned(), format!("127.0.0.1:{}", self.port)),
            ("Authorization".to_owned(), authorization.to_owned()),
        ];
        request.body = body.map(<[u8]>::to_vec);
        exchange(self.port, &request).await
    }
}
