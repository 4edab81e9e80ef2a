//! What the tests of this folder share.

use std::path::{Path, PathBuf};

use adapters::sqlite::SqliteStore;
use app::ports::Recordings as _;
use domain::recording::Recording;
use serde_json::Value;
use testkit::product::{Product, Setup, until};
use testkit::samples::{Sample, folders};

/// A setup of its own, with a spool that is looked at often.
pub(crate) fn setup() -> Setup {
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    for (name, folder) in folders(setup.folder()) {
        setup = setup.with(name, &folder.display().to_string());
    }
    std::fs::create_dir_all(setup.folder().join("spool")).unwrap();
    setup.with("RECORDING_IMPORT_POLL_INTERVAL", "0.1")
}

/// Puts an archive into the spool as rsync does, with an old time.
pub(crate) fn send(setup: &Setup, name: &str, archive: &[u8]) {
    let spool = setup.folder().join("spool");
    let unfinished = spool.join(format!(".{name}.Xy12"));
    std::fs::write(&unfinished, archive).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&unfinished).unwrap().set_modified(long_ago).unwrap();
    std::fs::rename(unfinished, spool.join(name)).unwrap();
}

/// Waits until nothing that is visible lies in the spool.
pub(crate) async fn until_imported(setup: &Setup) {
    let spool = setup.folder().join("spool");
    until("imported", async || names(&spool).iter().all(|name| name.starts_with('.')))
        .await
        .unwrap();
}

/// The names in a directory, in order.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Where a format's files are, if they are all there and whole.
pub(crate) fn shelf_of(setup: &Setup, sample: &Sample, format: &str) -> Option<&'static str> {
    let place = |shelf: &str| setup.folder().join(shelf).join(format).join(&sample.record_id);
    let shelves: Vec<&str> =
        ["published", "unpublished"].into_iter().filter(|shelf| place(shelf).exists()).collect();
    assert!(shelves.len() <= 1, "{format} is on both shelves");
    let shelf = *shelves.first()?;
    for (path, content) in sample.files(format) {
        let file: PathBuf = place(shelf).join(path);
        assert_eq!(std::fs::read(&file).unwrap(), content, "{}", file.display());
    }
    Some(shelf)
}

/// The row of a recording, in the embedded store.
pub(crate) async fn row(setup: &Setup, sample: &Sample) -> Option<Recording> {
    let store = SqliteStore::open(&setup.folder().join("data/scalelite.db")).unwrap();
    store.recording(&sample.record_id).await.unwrap()
}

/// The formats that a recording's row names.
pub(crate) fn formats(recording: &Recording) -> Vec<&str> {
    recording.formats.iter().map(|format| format.format.as_str()).collect()
}

/// What `recordings imports` says of an archive.
pub(crate) async fn import_of(setup: &Setup, name: &str) -> Option<Value> {
    let output = setup.cli(&["recordings", "imports", "--json"]).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let list: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    list.as_array().unwrap().iter().find(|one| one["name"] == name).cloned()
}

/// A server whose secret signs tokens; it is not asked.
pub(crate) async fn add_server(product: &Product, secret: &str) {
    let new = serde_json::json!({ "server": { "url": "https://bbb1.test/bigbluebutton/api", "secret": secret } });
    product.manage("addServer", Some(new)).await.unwrap();
}
