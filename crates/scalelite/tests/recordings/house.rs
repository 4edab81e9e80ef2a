//! A balancer whose recordings lie in directories or in a bucket, as somebody sees it from outside.

use std::path::Path;

use testkit::private::S3;
use testkit::product::{Answer, Product, Setup, until};
use testkit::samples::{FORMATS, Sample};
use testkit::stores::{Kind, Stores};

use crate::tools::{send, setup};

/// Where files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Files {
    Directories,
    Bucket,
}

/// How to start it, and what it keeps files in.
pub(crate) struct House {
    pub(crate) setup: Setup,
    bucket: Option<(S3, String)>,
}

impl House {
    pub(crate) async fn new(kind: Kind, files: Files) -> Self {
        let stores = Stores::start(kind).await.unwrap();
        let mut setup = setup().on(&stores);
        let bucket = match files {
            Files::Directories => None,
            Files::Bucket => {
                let server = S3::start().await.unwrap();
                let bucket = server.bucket().await.unwrap();
                let url = server.url();
                for (name, value) in [
                    ("S3_RECORDING", "true"),
                    ("S3_BUCKET_NAME", bucket.as_str()),
                    ("AWS_ACCESS_KEY_ID", "key"),
                    ("AWS_SECRET_ACCESS_KEY", "secret"),
                    ("AWS_ENDPOINT_URL", url.as_str()),
                ] {
                    setup = setup.with(name, value);
                }
                Some((server, bucket))
            }
        };
        Self { setup, bucket }
    }

    /// Every place where something of a recording lies: keys, or paths of directories and files.
    pub(crate) async fn traces(&self, sample: &Sample) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["published", "unpublished", "deleted", "spool", "work"] {
            walk(&self.setup.folder().join(folder), &mut found);
        }
        if let Some((server, bucket)) = &self.bucket {
            found.extend(server.keys(bucket).await.unwrap());
        }
        found.retain(|path| path.contains(&sample.record_id));
        found
    }

    /// Sends it by the spool, and waits until it is listed in all formats.
    pub(crate) async fn import(&self, product: &Product, sample: &Sample) {
        send(&self.setup, &format!("{}.tar", sample.record_id), &sample.archive(&FORMATS));
        let all =
            async || listed(product, sample).await.matches("<format>").count() == FORMATS.len();
        until("listed", async || all().await)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", product.log()));
        until("taken", async || {
            !self
                .traces(sample)
                .await
                .iter()
                .any(|path| path.contains("spool") || path.contains("work"))
        })
        .await
        .unwrap();
    }

    /// Runs a command that has to succeed.
    pub(crate) async fn command(&self, setup: &Setup, arguments: &[&str]) -> String {
        let output = setup.cli(arguments).await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn walk(dir: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        found.push(path.display().to_string());
        walk(&path, found);
    }
}

/// What getRecordings says of it, in any state but deleted.
pub(crate) async fn listed(product: &Product, sample: &Sample) -> String {
    let query = format!("recordID={}&state=any", sample.record_id);
    product.call("getRecordings", &query).await.unwrap().text()
}

/// One of the calls that change recordings, and whether it said that it did.
pub(crate) async fn change(product: &Product, call: &str, query: &str) -> Answer {
    let answer = product.call(call, query).await.unwrap();
    assert_eq!(answer.field("returncode"), "SUCCESS", "{call}: {}", answer.text());
    answer
}

/// Where its files are found, with what is in them.
pub(crate) fn files(sample: &Sample) -> impl Iterator<Item = (String, Vec<u8>)> {
    FORMATS.iter().flat_map(move |format| {
        let files = sample.files(format).into_iter();
        files
            .map(move |(path, content)| (format!("/{format}/{}/{path}", sample.record_id), content))
    })
}

/// All of it can be watched.
pub(crate) async fn assert_shown(product: &Product, sample: &Sample) {
    for (target, content) in files(sample) {
        let answer = product.get(&target).await.unwrap();
        assert_eq!(answer.status, 200, "{target} {}", product.log());
        assert!(answer.body == content, "{target}");
    }
}

/// Nothing of it can be.
pub(crate) async fn assert_hidden(product: &Product, sample: &Sample) {
    for (target, _) in files(sample) {
        let answer = product.get(&target).await.unwrap();
        assert_eq!(answer.status, 404, "{target}");
    }
}
