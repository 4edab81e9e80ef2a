//! A balancer with its recordings in directories or in an S3 bucket, as its clients see it.

use std::path::Path;

use testkit::private::S3;
use testkit::product::{ClientResponse, Product, Setup, wait_until};
use testkit::samples::{FORMATS, SampleRecording};
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{put_in_spool, setup};

/// Where the files of recordings are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileStorage {
    Directories,
    Bucket,
}

/// How to start the balancer, and the bucket, if it uses one.
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
                let server = S3::shared().await.unwrap();
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

    /// The keys of objects and the paths of files and directories that belong to a recording.
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

    /// Imports a sample from the spool, and waits until it is listed with all formats and its
    /// archive is removed.
    pub(crate) async fn import_sample(&self, product: &Product, sample: &SampleRecording) {
        put_in_spool(&self.setup, &format!("{}.tar", sample.record_id), &sample.archive(&FORMATS));
        let is_listed = async || {
            get_recording(product, sample).await.matches("<format>").count() == FORMATS.len()
        };
        let listed = wait_until("listed", is_listed).await;
        listed.unwrap_or_else(|error| panic!("{error}: {}", product.log()));
        let is_removed = async || {
            let files = self.list_files(sample).await;
            !files.iter().any(|path| path.contains("spool") || path.contains("work"))
        };
        wait_until("removed from the spool", is_removed).await.unwrap();
    }

    /// Runs a command that must succeed; returns its output.
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

/// The response to getRecordings for a recording in any state but deleted.
pub(crate) async fn get_recording(product: &Product, sample: &SampleRecording) -> String {
    let query = format!("recordID={}&state=any", sample.record_id);
    product.call("getRecordings", &query).await.unwrap().text()
}

/// Makes a call that changes recordings and must succeed.
pub(crate) async fn change_recording(product: &Product, call: &str, query: &str) -> ClientResponse {
    let response = product.call(call, query).await.unwrap();
    assert_eq!(response.xml_field("returncode"), "SUCCESS", "{call}: {}", response.text());
    response
}

/// The paths of a recording's files for playback, with their content.
pub(crate) fn playback_files(sample: &SampleRecording) -> impl Iterator<Item = (String, Vec<u8>)> {
    FORMATS.iter().flat_map(move |format| {
        let files = sample.files(format).into_iter();
        files
            .map(move |(path, content)| (format!("/{format}/{}/{path}", sample.record_id), content))
    })
}

/// Asserts that every file of a recording is served.
pub(crate) async fn assert_playable(product: &Product, sample: &SampleRecording) {
    for (target, content) in playback_files(sample) {
        let response = product.get(&target).await.unwrap();
        assert_eq!(response.status, 200, "{target} {}", product.log());
        assert!(response.body == content, "{target}");
    }
}

/// Asserts that no file of a recording is served.
pub(crate) async fn assert_hidden(product: &Product, sample: &SampleRecording) {
    for (target, _) in playback_files(sample) {
        let response = product.get(&target).await.unwrap();
        assert_eq!(response.status, 404, "{target}");
    }
}
