//! A balancer whose recordings lie in directories or in a bucket, as somebody sees it from outside.

use std::path::Path;

use testkit::private::S3;
use testkit::product::{ClientResponse, Product, Setup, wait_until};
use testkit::samples::{FORMATS, SampleRecording};
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{put_in_spool, setup};

/// Where files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileStorage {
    Directories,
    Bucket,
}

/// How to start it, and what it keeps files in.
pub(crate) struct TestStorage {
    pub(crate) setup: Setup,
    bucket: Option<(S3, String)>,
}

impl TestStorage {
    pub(crate) async fn new(kind: StoreKind, files: FileStorage) -> Self {
        let stores = TestStores::start(kind).await.unwrap();
        let mut setup = setup().with_stores(&stores);
        let bucket = match files {
            FileStorage::Directories => None,
            FileStorage::Bucket => {
                let server = S3::start().await.unwrap();
                let bucket = server.create_bucket().await.unwrap();
                let url = server.url();
                for (name, value) in [
                    ("S3_RECORDING", "true"),
                    ("S3_BUCKET_NAME", bucket.as_str()),
                    ("AWS_ACCESS_KEY_ID", "key"),
                    ("AWS_SECRET_ACCESS_KEY", "secret"),
                    ("AWS_ENDPOINT_URL", url.as_str()),
                ] {
                    setup = setup.with_setting(name, value);
                }
                Some((server, bucket))
            }
        };
        Self { setup, bucket }
    }

    /// Every place where something of a recording lies: keys, or paths of directories and files.
    pub(crate) async fn list_files(&self, sample: &SampleRecording) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["published", "unpublished", "deleted", "spool", "work"] {
            collect_files(&self.setup.folder().join(folder), &mut found);
        }
        if let Some((server, bucket)) = &self.bucket {
            found.extend(server.list_keys(bucket).await.unwrap());
        }
        found.retain(|path| path.contains(&sample.record_id));
        found
    }

    /// Sends it by the spool, and waits until it is listed in all formats.
    pub(crate) async fn import_sample(&self, product: &Product, sample: &SampleRecording) {
        put_in_spool(&self.setup, &format!("{}.tar", sample.record_id), &sample.archive(&FORMATS));
        let all = async || {
            get_recording(product, sample).await.matches("<format>").count() == FORMATS.len()
        };
        wait_until("listed", async || all().await)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", product.log()));
        wait_until("taken", async || {
            !self
                .list_files(sample)
                .await
                .iter()
                .any(|path| path.contains("spool") || path.contains("work"))
        })
        .await
        .unwrap();
    }

    /// Runs a command that has to succeed.
    pub(crate) async fn run_command(&self, setup: &Setup, arguments: &[&str]) -> String {
        let output = setup.run_command(arguments).await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn collect_files(dir: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        found.push(path.display().to_string());
        collect_files(&path, found);
    }
}

/// What getRecordings says of it, in any state but deleted.
pub(crate) async fn get_recording(product: &Product, sample: &SampleRecording) -> String {
    let query = format!("recordID={}&state=any", sample.record_id);
    product.call("getRecordings", &query).await.unwrap().text()
}

/// One of the calls that change recordings, and whether it said that it did.
pub(crate) async fn change_recording(product: &Product, call: &str, query: &str) -> ClientResponse {
    let answer = product.call(call, query).await.unwrap();
    assert_eq!(answer.xml_field("returncode"), "SUCCESS", "{call}: {}", answer.text());
    answer
}

/// Where its files are found, with what is in them.
pub(crate) fn playback_files(sample: &SampleRecording) -> impl Iterator<Item = (String, Vec<u8>)> {
    FORMATS.iter().flat_map(move |format| {
        let files = sample.files(format).into_iter();
        files
            .map(move |(path, content)| (format!("/{format}/{}/{path}", sample.record_id), content))
    })
}

/// All of it can be watched.
pub(crate) async fn assert_playable(product: &Product, sample: &SampleRecording) {
    for (target, content) in playback_files(sample) {
        let answer = product.get(&target).await.unwrap();
        assert_eq!(answer.status, 200, "{target} {}", product.log());
        assert!(answer.body == content, "{target}");
    }
}

/// Nothing of it can be.
pub(crate) async fn assert_hidden(product: &Product, sample: &SampleRecording) {
    for (target, _) in playback_files(sample) {
        let answer = product.get(&target).await.unwrap();
        assert_eq!(answer.status, 404, "{target}");
    }
}
