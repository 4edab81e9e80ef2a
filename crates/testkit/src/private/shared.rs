//! Servers that all tests of one run share.
//!
//! nextest runs every test in a process of its own. The first process of a run that needs a server
//! starts it and writes its address into a directory named after the run; the others read the
//! address there. The server ends with the run, even if the run is interrupted. Under `cargo test`,
//! where a test binary runs its tests in one process, a run is that process.

use super::supervisor::Lifetime;
use crate::clock::environment_variable;
use anyhow::Context;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// nextest's name for the run, a different one each time.
const RUN_ID_VARIABLE: &str = "NEXTEST_RUN_ID";

/// Where a shared server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerAddress {
    /// The server's folder.
    pub(super) folder: PathBuf,
    /// Its port on 127.0.0.1.
    pub(super) port: u16,
}

/// Returns the address of the run's server of this kind. Calls `start` if it is not running yet;
/// other processes wait meanwhile.
///
/// # Errors
/// When the server does not start.
pub(super) async fn find_or_start(
    kind: &str,
    start: impl AsyncFnOnce(Lifetime) -> anyhow::Result<ServerAddress>,
) -> anyhow::Result<ServerAddress> {
    let (run, owner) = current_run();
    let record = std::env::temp_dir().join(format!("scalelite-tests-{run}-{kind}"));
    std::fs::create_dir_all(&record)?;
    let lock = lock_record(record.clone()).await?;
    let path = record.join("address");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return parse_address(&text);
    }
    let address = start(Lifetime::Process { id: owner, record }).await?;
    std::fs::write(&path, format!("{}\n{}", address.port, address.folder.display()))?;
    drop(lock);
    Ok(address)
}

/// Returns a name that no other call in any process returns as long as the process runs.
pub(super) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The name of the run, and the process that it ends with.
fn current_run() -> (String, u32) {
    let run_id = environment_variable(RUN_ID_VARIABLE).and_then(|id| id.into_string().ok());
    match run_id {
        Some(run_id) => (run_id, std::os::unix::process::parent_id()),
        None => (format!("process-{}", std::process::id()), std::process::id()),
    }
}

/// Locks a directory until the file is dropped.
async fn lock_record(record: PathBuf) -> anyhow::Result<File> {
    let lock = tokio::task::spawn_blocking(move || lock_file(&record.join("lock")));
    lock.await?.context("locking the record of a shared server")
}

fn lock_file(path: &Path) -> std::io::Result<File> {
    let file = File::create(path)?;
    file.lock()?;
    Ok(file)
}

fn parse_address(text: &str) -> anyhow::Result<ServerAddress> {
    let (port, folder) = text.split_once('\n').context("an address without a folder")?;
    Ok(ServerAddress { folder: PathBuf::from(folder), port: port.parse()? })
}
