//! Setups, archives in the spool, and views of the store that the tests of this folder share.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use adapters::sqlite::SqliteStore;
use app::ports::Recordings as _;
use domain::recording::Recording;
use serde_json::Value;
use testkit::product::{Product, Setup, wait_until};
use testkit::samples::{SampleRecording, recording_dir_settings};
use testkit::tar::TarBuilder;

/// How long an import may take whose archive was claimed by a process that was killed: such a claim
/// expires after 30 s.
pub(crate) const CLAIM_DEADLINE: Duration = Duration::from_secs(90);

/// A setup with a folder of its own and a spool that is scanned ten times a second.
pub(crate) fn setup() -> Setup {
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    for (name, folder) in recording_dir_settings(setup.folder()) {
        setup = setup.with_setting(name, &folder.display().to_string());
    }
    std::fs::create_dir_all(setup.folder().join("spool")).unwrap();
    setup.with_setting("RECORDING_IMPORT_POLL_INTERVAL", "0.1")
}

/// Puts an archive into the spool as rsync does, with an old modification time.
pub(crate) fn put_in_spool(setup: &Setup, name: &str, archive: &[u8]) {
    let spool = setup.folder().join("spool");
    let unfinished = spool.join(format!(".{name}.Xy12"));
    std::fs::write(&unfinished, archive).unwrap();
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&unfinished).unwrap().set_modified(long_ago).unwrap();
    std::fs::rename(unfinished, spool.join(name)).unwrap();
}

/// An archive with these formats of several recordings.
pub(crate) fn archive_of(samples: &[SampleRecording], formats: &[&str]) -> Vec<u8> {
    let mut tar = TarBuilder::new();
    for sample in samples {
        for format in formats {
            for (path, content) in sample.files(format) {
                tar = tar.file(&format!("{format}/{}/{path}", sample.record_id), content);
            }
        }
    }
    tar.into_bytes()
}

/// Waits until the spool has no files but hidden ones.
pub(crate) async fn wait_until_imported(setup: &Setup) {
    let spool = setup.folder().join("spool");
    let is_empty = async || file_names(&spool).iter().all(|name| name.starts_with('.'));
    wait_until("imported", is_empty).await.unwrap();
}

/// The names in a directory, sorted; none if there is no directory.
pub(crate) fn file_names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // The balancer marks directories of recordings.
    names.retain(|name| name != ".scalelite-directory");
    names.sort();
    names
}

/// The directory that a format's files are in, `published` or `unpublished`, if they are in one.
/// Asserts that all of them are there.
pub(crate) fn visibility_of(
    setup: &Setup,
    sample: &SampleRecording,
    format: &str,
) -> Option<&'static str> {
    let dir = |name: &str| setup.folder().join(name).join(format).join(&sample.record_id);
    let names: Vec<&str> =
        ["published", "unpublished"].into_iter().filter(|name| dir(name).exists()).collect();
    assert!(names.len() <= 1, "{format} is in both directories");
    let name = *names.first()?;
    for (path, content) in sample.files(format) {
        let file: PathBuf = dir(name).join(path);
        assert_eq!(std::fs::read(&file).unwrap(), content, "{}", file.display());
    }
    Some(name)
}

/// A recording as it is stored in the embedded store.
pub(crate) async fn recording_row(setup: &Setup, sample: &SampleRecording) -> Option<Recording> {
    let store = SqliteStore::open(&setup.folder().join("data/scalelite.db")).unwrap();
    store.find_recording(&sample.record_id).await.unwrap()
}

/// The names of a recording's formats.
pub(crate) fn format_names(recording: &Recording) -> Vec<&str> {
    recording.formats.iter().map(|format| format.format.as_str()).collect()
}

/// The entry for an archive in the output of `recordings imports`.
pub(crate) async fn find_import(setup: &Setup, name: &str) -> Option<Value> {
    let output = setup.run_command(&["recordings", "imports", "--json"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    list.as_array().unwrap().iter().find(|import| import["name"] == name).cloned()
}

/// Adds an enabled server whose secret signs tokens. The balancer never reaches it.
pub(crate) async fn add_server(product: &Product, secret: &str) {
    add_server_named(product, "bbb1.test", secret).await;
}

/// Adds an enabled server with this host name; returns its id.
pub(crate) async fn add_server_named(product: &Product, host: &str, secret: &str) -> String {
    let url = format!("https://{host}/bigbluebutton/api");
    let new = serde_json::json!({ "server": { "url": url, "secret": secret } });
    let added = product.call_management("addServer", Some(new)).await.unwrap();
    let id = added["id"].as_str().unwrap().to_owned();
    set_server_state(product, &id, "enable").await;
    id
}

/// Enables, cordons or disables a server.
pub(crate) async fn set_server_state(product: &Product, id: &str, state: &str) {
    let change = serde_json::json!({ "id": id, "server": { "state": state } });
    product.call_management("updateServer", Some(change)).await.unwrap();
}
