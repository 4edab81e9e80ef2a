//! What the tests of playback share: a balancer with recordings that lie there as an import leaves them.

use std::path::PathBuf;

use adapters::sqlite::SqliteStore;
use app::ports::{OneTimeTokens as _, RecordingFormatId, Recordings as _};
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording};
use testkit::product::{ClientResponse, Product, Setup};

use crate::tools::send;

/// The id of the recording that tests watch.
pub(crate) const RECORD_ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";
/// A one-time token as they look.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// What stands on the page for what is not there.
pub(crate) const NOT_FOUND: &str = "<title>Recording Not Found</title>";

/// A balancer without servers, and its files.
pub(crate) struct TestPlayback {
    pub(crate) product: Product,
}

impl TestPlayback {
    /// One of these settings.
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        for (name, value) in settings {
            setup = setup.with_setting(name, value);
        }
        Self { product: setup.start().await.unwrap() }
    }

    /// The same with the recording published in these formats, each with its files.
    pub(crate) async fn with_formats(
        settings: &[(&str, &str)],
        recording: Recording,
        files: &[(&str, &str)],
    ) -> Self {
        let theatre = Self::new(settings).await;
        for (path, content) in files {
            theatre.write_file(path, content.as_bytes());
        }
        theatre.record_recording(&recording).await;
        theatre
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.product.setup().folder().to_owned()
    }

    /// Writes a file of a published recording: `<format>/<path>`.
    pub(crate) fn write_file(&self, path: &str, content: &[u8]) {
        let (format, path) = path.split_once('/').unwrap();
        let at = self.folder().join("published").join(format).join(RECORD_ID).join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.folder().join("data/scalelite.db")).unwrap()
    }

    /// Makes the store say so of a recording.
    pub(crate) async fn record_recording(&self, recording: &Recording) {
        self.store().put_recording(recording).await.unwrap();
    }

    /// Makes a one-time token good for a format.
    pub(crate) async fn grant_token(&self, token: &str, format: &str) {
        let format_id = RecordingFormatId::parse(RECORD_ID, format).unwrap();
        let (now, until) = (Timestamp(0), Timestamp(i64::MAX / 2));
        self.store().put_token(token, &format_id, now, until).await.unwrap();
    }

    pub(crate) async fn get(&self, target: &str) -> ClientResponse {
        self.send("GET", target, &[]).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> ClientResponse {
        send(&self.product, method, target, headers, None).await
    }
}

/// The recording in these formats.
pub(crate) fn recording(formats: &[&str]) -> Recording {
    let format = |name: &&str| PlaybackFormat {
        format: (*name).to_owned(),
        url: Some(match *name {
            "presentation" => format!("/playback/presentation/2.3/{RECORD_ID}"),
            name => format!("/{name}/{RECORD_ID}/"),
        }),
        ..PlaybackFormat::default()
    };
    Recording {
        record_id: RECORD_ID.to_owned(),
        meeting_id: Some("room".to_owned()),
        published: true,
        state: Some("published".to_owned()),
        formats: formats.iter().map(format).collect(),
        ..Recording::default()
    }
}

/// The path of a file of the recording: `<format>/<path>`.
pub(crate) fn file_target(path: &str) -> String {
    let (format, path) = path.split_once('/').unwrap();
    format!("/{format}/{RECORD_ID}/{path}")
}

/// Asserts that there is nothing to be watched.
#[track_caller]
pub(crate) fn assert_not_found(answer: &ClientResponse) {
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains(NOT_FOUND), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}
