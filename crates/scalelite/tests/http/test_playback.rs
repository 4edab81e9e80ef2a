//! Helpers of the playback tests: a balancer with a recording as an import leaves it.

use std::path::PathBuf;

use adapters::sqlite::SqliteStore;
use app::ports::{OneTimeTokens as _, RecordingFormatId, Recordings as _};
use domain::Timestamp;
use domain::recording::{PlaybackFormat, Recording};
use testkit::product::{ClientResponse, Product, Setup};

use crate::tools::send;

/// Id of the recording.
pub(crate) const RECORD_ID: &str = "5d2f0c9a4be17c33a1f0b6de0d92cf5a7b1e8c44-1760000000111";
/// A one-time token.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Part of the not-found page.
pub(crate) const NOT_FOUND: &str = "<title>Recording Not Found</title>";

/// A balancer without servers.
pub(crate) struct TestPlayback {
    pub(crate) product: Product,
}

impl TestPlayback {
    /// Starts a balancer with settings.
    pub(crate) async fn new(settings: &[(&str, &str)]) -> Self {
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        for (name, value) in settings {
            setup = setup.with_setting(name, value);
        }
        Self { product: setup.start().await.unwrap() }
    }

    /// Starts a balancer with a recording and its files, each given as `<format>/<path>` and
    /// content.
    pub(crate) async fn with_formats(
        settings: &[(&str, &str)],
        recording: Recording,
        files: &[(&str, &str)],
    ) -> Self {
        let playback = Self::new(settings).await;
        for (path, content) in files {
            playback.write_file(path, content.as_bytes());
        }
        playback.record_recording(&recording).await;
        playback
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.product.setup().folder().to_owned()
    }

    /// Writes a file of a published recording: `<format>/<path>`.
    pub(crate) fn write_file(&self, path: &str, content: &[u8]) {
        let (format, path) = path.split_once('/').unwrap();
        let file = self.folder().join("published").join(format).join(RECORD_ID).join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.folder().join("data/scalelite.db")).unwrap()
    }

    /// Writes the recording into the store.
    pub(crate) async fn record_recording(&self, recording: &Recording) {
        self.store().put_recording(recording).await.unwrap();
    }

    /// Stores a one-time token for a format.
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

/// Returns the recording with formats.
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

/// Returns the target of a file of the recording, given as `<format>/<path>`.
pub(crate) fn file_target(path: &str) -> String {
    let (format, path) = path.split_once('/').unwrap();
    format!("/{format}/{RECORD_ID}/{path}")
}

/// Asserts that a response is the not-found page.
#[track_caller]
pub(crate) fn assert_not_found(response: &ClientResponse) {
    assert_eq!(response.status, 404, "{}", response.text());
    assert!(response.text().contains(NOT_FOUND), "{}", response.text());
    assert_eq!(response.header("cache-control"), Some("no-store"));
}
