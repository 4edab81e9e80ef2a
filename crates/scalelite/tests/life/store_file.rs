//! The file of the embedded store: copied, lost, replaced and damaged.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use adapters::sqlite::SqliteStore;
use app::ports::PoolStore as _;
use testkit::product::{Product, Setup, wait_until};

use crate::tools::{assert_success, create_query, is_success, setup, start_deployment, start_pool};

fn store_of(setup: &Setup) -> PathBuf {
    setup.folder().join("data/scalelite.db")
}

/// Copies only the file itself to a new data directory; returns the directory.
fn copy_alone(setup: &Setup, name: &str) -> PathBuf {
    let dir = setup.folder().join(name);
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(store_of(setup), dir.join("scalelite.db")).unwrap();
    dir
}

async fn health(product: &Product) -> u16 {
    product.get("/health_check").await.unwrap().status
}

/// Waits until the health check fails, and the log says that reason.
async fn wait_for_failure(product: &Product, reason: &str) {
    let is_told = async || health(product).await == 503 && product.log().contains(reason);
    wait_until(reason, is_told).await.unwrap();
}

async fn wait_for_mark(setup: &Setup) {
    let marks = ["data/store-mark", ".data.store-mark"].map(|name| setup.folder().join(name));
    let are_left = async || marks.iter().all(|mark| mark.exists());
    wait_until("the marks are left", are_left).await.unwrap();
}

/// The log of a `serve` that must not start.
async fn refuse_to_start(setup: &Setup) -> String {
    let mut product = setup.spawn().unwrap();
    assert_eq!(product.wait_for_exit().await.unwrap().code(), Some(1), "{}", product.log());
    product.log()
}

#[tokio::test]
async fn after_a_stop_a_copy_of_the_file_is_the_whole_store() {
    let mut deployment = start_deployment(1, &[]).await;
    assert_success(&deployment.product.call("create", &create_query("m1")).await.unwrap());
    deployment.product.terminate().await.unwrap();
    assert_eq!(deployment.product.wait_for_exit().await.unwrap().code(), Some(0));
    let copy = copy_alone(deployment.product.setup(), "copy").display().to_string();
    let product = deployment.product.setup().clone().with_setting("SCALELITE_DATA_DIR", &copy);
    let product = product.start().await.unwrap();
    assert_success(&product.call("getMeetingInfo", "meetingID=m1").await.unwrap());
}

#[tokio::test]
async fn in_idle_times_the_file_is_the_whole_store() {
    let mut deployment = start_deployment(1, &[]).await;
    assert_success(&deployment.product.call("create", &create_query("m1")).await.unwrap());
    deployment.product.kill().await.unwrap();
    deployment.product.restart().await.unwrap();
    let setup = deployment.product.setup();
    let mut copies = 0;
    let has_meeting = async || {
        copies += 1;
        let copy = copy_alone(setup, &format!("copy-{copies}"));
        let store = SqliteStore::open(&copy.join("scalelite.db")).unwrap();
        store.list_meetings(None).await.is_ok_and(|meetings| meetings.len() == 1)
    };
    wait_until("the meeting is in the file", has_meeting).await.unwrap();
}

#[tokio::test]
async fn a_lost_store_is_not_replaced_by_an_empty_one_without_consent() {
    let mut deployment = start_deployment(1, &[]).await;
    wait_for_mark(deployment.product.setup()).await;
    deployment.product.kill().await.unwrap();
    let setup = deployment.product.setup().clone();
    let data = setup.folder().join("data");
    // Junk in the log makes SQLite ignore it; nothing is lost, since all is in the file.
    std::fs::write(data.join("scalelite.db-wal"), "junk".repeat(10_000)).unwrap();
    drop(setup.start().await.unwrap());

    let lose_files: fn(&Path) = |data| {
        for entry in std::fs::read_dir(data).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("scalelite.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    let lose_all: fn(&Path) = |data| {
        for entry in std::fs::read_dir(data).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    for lose in [lose_files, lose_all] {
        lose(&data);
        let log = refuse_to_start(&setup).await;
        assert!(log.contains("--accept-empty"), "{log}");
        let listed = setup.run_command(&["servers"]).await.unwrap();
        assert_eq!(listed.status.code(), Some(1), "a command creates no store either");
        let doctor = setup.run_command(&["doctor"]).await.unwrap();
        let findings = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(findings.contains("store lost"), "{findings}");
        assert!(!data.join("scalelite.db").exists());
    }
    // An empty store that something else has made is refused as well.
    std::fs::create_dir_all(&data).unwrap();
    drop(SqliteStore::open(&data.join("scalelite.db")).unwrap());
    assert!(refuse_to_start(&setup).await.contains("--accept-empty"));
    drop(setup.clone().with_serve_argument("--accept-empty").start().await.unwrap());
    drop(setup.start().await.unwrap());
}

#[tokio::test]
async fn a_data_directory_that_was_removed_and_made_anew_is_a_new_one() {
    let mut deployment = start_deployment(1, &[]).await;
    wait_for_mark(deployment.product.setup()).await;
    deployment.product.kill().await.unwrap();
    let setup = deployment.product.setup().clone();
    let (data, mark) = (setup.folder().join("data"), setup.folder().join(".data.store-mark"));
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    let mut product = setup.start().await.unwrap();
    assert!(product.log().contains("the store of the former one had servers"), "{}", product.log());
    product.terminate().await.unwrap();
    product.wait_for_exit().await.unwrap();
    // One that was mounted is not there without its mount.
    let marked = std::fs::read_to_string(&mark).unwrap();
    let directory = marked.lines().nth(1).unwrap();
    std::fs::write(&mark, marked.replace(directory, "mounted")).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    assert!(refuse_to_start(&setup).await.contains("--accept-empty"));
}

#[tokio::test]
async fn servers_that_were_removed_leave_no_store_that_counts_as_lost() {
    let mut deployment = start_deployment(1, &[]).await;
    wait_for_mark(deployment.product.setup()).await;
    let setup = deployment.product.setup().clone();
    let listed = deployment.product.call_management("getServers", None).await.unwrap();
    let id = listed[0]["id"].as_str().unwrap();
    let removed = setup.run_command(&["servers", "remove", id, "--yes"]).await.unwrap();
    assert!(removed.status.success(), "{removed:?}");
    deployment.product.terminate().await.unwrap();
    deployment.product.wait_for_exit().await.unwrap();
    drop(setup.start().await.unwrap());
}

#[tokio::test]
async fn a_file_that_is_deleted_or_replaced_is_noticed() {
    let deployment = start_deployment(1, &[]).await;
    let product = &deployment.product;
    assert_success(&product.call("create", &create_query("before")).await.unwrap());
    let store = store_of(product.setup());
    let kept = store.with_file_name("kept");
    std::fs::rename(&store, &kept).unwrap();
    wait_for_failure(product, "was deleted").await;
    assert!(!is_success(&product.call("create", &create_query("lost")).await.unwrap()));
    std::fs::copy(&kept, &store).unwrap();
    wait_for_failure(product, "was replaced").await;
    std::fs::rename(&kept, &store).unwrap();
    wait_until("healthy", async || health(product).await == 200).await.unwrap();
    assert_success(&product.call("create", &create_query("after")).await.unwrap());
}

#[tokio::test]
async fn damage_is_noticed_under_the_process_and_at_its_start() {
    let pool = start_pool(1).await;
    let setup = setup();
    let mut product = setup.start().await.unwrap();
    product.add_simulated_server(&pool.servers()[0]).await.unwrap();
    product.terminate().await.unwrap();
    product.wait_for_exit().await.unwrap();
    let file = std::fs::File::options().read(true).write(true).open(store_of(&setup)).unwrap();
    let mut page = [0; 4096];
    file.read_exact_at(&mut page, 4096).unwrap();
    file.write_all_at(&[0xff; 4096], 4096).unwrap();
    let log = refuse_to_start(&setup).await;
    assert!(log.contains("store corrupt"), "{log}");
    file.write_all_at(&page, 4096).unwrap();
    let product = setup.start().await.unwrap();
    file.read_exact_at(&mut page, 0).unwrap();
    file.write_all_at(&[0; 16], 0).unwrap();
    wait_for_failure(&product, "not a database").await;
    file.write_all_at(&page[..16], 0).unwrap();
    wait_until("healthy", async || health(&product).await == 200).await.unwrap();
}
