//! Tests of backups: made while the balancer runs, restored, refused, interrupted by kills and full disks, and made by a
//! schedule.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use testkit::product::{Setup, wait_until};
use testkit::small_disk::SmallDisk;
use testkit::stores::{StoreKind, TestStores};
use tokio::time::sleep;

use crate::tools::{assert_success, create_query, setup, start_deployment};

/// A setup without a secret in its environment: one is generated.
fn without_secret(setup: &Setup, data: &Path) -> Setup {
    let data = data.display().to_string();
    setup.clone().with_setting("SCALELITE_DATA_DIR", &data).with_setting("LOADBALANCER_SECRET", "")
}

async fn run(setup: &Setup, arguments: &[&str]) -> Output {
    setup.run_command(arguments).await.unwrap()
}

/// The output of a command that must succeed.
async fn run_ok(setup: &Setup, arguments: &[&str]) -> String {
    let output = run(setup, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that must fail.
async fn run_failing(setup: &Setup, arguments: &[&str]) -> String {
    let output = run(setup, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// A setup with a store of one server and a generated secret, and the path of a backup of it.
async fn backed_up_store() -> (Setup, PathBuf) {
    let setup = setup();
    let own = without_secret(&setup, &setup.folder().join("data"));
    // Only the server makes a store with a secret.
    drop(own.start().await.unwrap());
    run_ok(&own, &["servers", "add", "http://127.0.0.1:1/bigbluebutton/api", "s1", "--force"])
        .await;
    let file = setup.folder().join("backup.tar");
    run_ok(&own, &["backup", &path_text(&file)]).await;
    (own, file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_balancer_is_a_whole_store() {
    let mut deployment = start_deployment(1, &[]).await;
    let setup = deployment.product.setup().clone();
    std::fs::create_dir(setup.folder().join("data/acme")).unwrap();
    std::fs::write(setup.folder().join("data/acme/account.key"), "private").unwrap();
    let create = async |id: &str| {
        assert_success(&deployment.product.call("create", &create_query(id)).await.unwrap());
    };
    create("before").await;
    let file = setup.folder().join("backup.tar");
    // Backups and creates at the same time.
    let arguments = ["backup", file.to_str().unwrap()];
    let (printed, ()) = tokio::join!(run_ok(&setup, &arguments), create("meanwhile"));
    assert!(printed.contains("embedded store") && printed.contains("checked"), "{printed}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let running = run_failing(&setup, &["restore", file.to_str().unwrap(), "--force"]).await;
    assert!(running.contains("is in use: stop the balancer"), "{running}");
    deployment.product.kill().await.unwrap();

    let data = path_text(&setup.folder().join("restored"));
    let restored = setup.clone().with_setting("SCALELITE_DATA_DIR", &data);
    run_ok(&restored, &["restore", file.to_str().unwrap()]).await;
    let meetings = run_ok(&restored, &["meetings", "list"]).await;
    assert!(meetings.contains("before"), "{meetings}");
    let audit = run_ok(&restored, &["audit", "--json", "--action", "stores.restore"]).await;
    assert!(audit.contains("backup.tar") && audit.contains("as_of"), "{audit}");
    let key = setup.folder().join("restored/acme/account.key");
    assert_eq!(std::fs::read_to_string(key).unwrap(), "private");
    let product = restored.start().await.unwrap();
    assert!(product.log().contains("listening"));
    let leftovers = std::fs::read_dir(setup.folder().join("restored")).unwrap();
    let names: Vec<String> =
        leftovers.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.starts_with("restore-")), "{names:?}");
}

/// A store of a newer schema, as another package would leave it, is not touched.
async fn refuse_a_newer_schema(setup: &Setup) {
    let folder = setup.folder();
    let store = folder.join("data/scalelite.db");
    let database = std::fs::File::options().read(true).write(true).open(&store).unwrap();
    let mut version = [0; 4];
    database.read_exact_at(&mut version, 60).unwrap();
    assert_eq!(u32::from_be_bytes(version), 1);
    database.write_all_at(&2_u32.to_be_bytes(), 60).unwrap();
    let refused = run_failing(setup, &["servers"]).await;
    assert!(refused.contains("schema 2, this program knows 1: use a newer scalelite"), "{refused}");
    let refused = run_failing(setup, &["backup", &path_text(&folder.join("x"))]).await;
    assert!(refused.contains("schema 2"), "{refused}");
    assert!(!folder.join("x").exists() && !folder.join(".x.partial").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten_without_force_and_nothing_odd_is_restored() {
    let (setup, file) = backed_up_store().await;
    let (folder, backup) = (setup.folder().to_owned(), path_text(&file));
    run_ok(&setup, &["servers", "add", "http://127.0.0.1:2/bigbluebutton/api", "s2", "--force"])
        .await;
    let before = run_ok(&setup, &["servers"]).await;
    let refused = run_failing(&setup, &["restore", &backup]).await;
    assert!(refused.contains("has 2 servers, 0 tenants and 0 recordings: --force"), "{refused}");

    let whole = std::fs::read(&file).unwrap();
    let damaged = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path_text(&path)
    };
    let length = whole.len();
    let newer = damaged("newer", &|bytes| {
        let at = bytes.windows(11).position(|part| part == b"\"format\": 1").unwrap();
        bytes[at + 10] = b'2';
    });
    for (path, reason) in [
        (damaged("short", &|bytes| bytes.truncate(length / 2)), "is not whole"),
        (damaged("no-end", &|bytes| bytes.truncate(length - 1024)), "is not whole"),
        (damaged("list-cut", &|bytes| bytes.truncate(length - 1024 - 512)), "is not whole"),
        (damaged("flipped", &|bytes| bytes[length / 2] ^= 1), "another checksum"),
        (newer, "was made by a newer scalelite"),
        (damaged("empty", &|bytes| bytes.clear()), "is no backup"),
        (path_text(&folder.join("missing")), "No such file"),
        (path_text(&folder), "is no backup"),
    ] {
        let error = run_failing(&setup, &["restore", &path, "--force"]).await;
        assert!(error.contains(reason), "{path}: {error}");
        let checked = run_failing(&setup, &["restore", &path, "--check"]).await;
        assert!(checked.contains(reason), "{path}: {checked}");
        assert_eq!(run_ok(&setup, &["servers"]).await, before, "{path}");
    }
    let checked = run_ok(&setup, &["restore", &backup, "--check"]).await;
    assert!(checked.contains("whole"), "{checked}");
    // The generated secret is restored with the store.
    let moved = without_secret(&setup, &folder.join("moved"));
    run_ok(&moved, &["restore", &backup]).await;
    assert_eq!(run_ok(&moved, &["secret"]).await, run_ok(&setup, &["secret"]).await);
    refuse_a_newer_schema(&setup).await;

    // A file that is no backup is not replaced by one.
    let notes = folder.join("notes");
    std::fs::write(&notes, "mine").unwrap();
    let refused = run_failing(&setup, &["backup", &path_text(&notes)]).await;
    assert!(refused.contains("exists and is no backup"), "{refused}");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "mine");
    let restored = run_ok(&setup, &["restore", &backup, "--force"]).await;
    assert!(restored.contains("restored from"), "{restored}");
    let servers = run_ok(&setup, &["servers"]).await;
    assert!(servers.contains("127.0.0.1:1/") && !servers.contains("127.0.0.1:2/"), "{servers}");
    let shared = setup.clone().with_setting("REDIS_URL", "redis://127.0.0.1:1");
    let refused = run_failing(&shared, &["restore", &backup]).await;
    assert!(refused.contains("is a backup of embedded; the settings name"), "{refused}");
}

/// Kills a command at a random moment, or lets it end.
async fn kill_soon(setup: &Setup, arguments: &[&str], random: &mut StdRng) -> bool {
    let mut child = setup.command().args(arguments).spawn().unwrap();
    // The time of the kill is random on purpose.
    sleep(Duration::from_micros(random.random_range(500..60_000))).await;
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().await.unwrap();
    was_running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_the_former_state_or_the_new_one() {
    let (setup, file) = backed_up_store().await;
    let (first, folder) = (path_text(&file), setup.folder().to_owned());
    let old = run_ok(&setup, &["servers"]).await;
    run_ok(&setup, &["servers", "add", "http://127.0.0.1:2/bigbluebutton/api", "s2", "--force"])
        .await;
    let new = run_ok(&setup, &["servers"]).await;
    let second = path_text(&folder.join("second.tar"));
    run_ok(&setup, &["backup", &second]).await;
    let mut random = StdRng::seed_from_u64(15);
    let (mut killed, target) = (0, folder.join("target.tar"));
    std::fs::copy(&second, &target).unwrap();
    for round in 0..30 {
        let from = if round % 2 == 0 { &first } else { &second };
        killed += u32::from(kill_soon(&setup, &["restore", from, "--force"], &mut random).await);
        let state = run_ok(&setup, &["servers"]).await;
        assert!(state == old || state == new, "round {round}: {state}");
        killed += u32::from(kill_soon(&setup, &["backup", &path_text(&target)], &mut random).await);
        run_ok(&setup, &["restore", &path_text(&target), "--check"]).await;
    }
    assert!(killed > 10, "{killed} of 60 commands were killed");
    // What kills have left is in nobody's way.
    run_ok(&setup, &["restore", &first, "--force"]).await;
    assert_eq!(run_ok(&setup, &["servers"]).await, old);
    run_ok(&setup, &["backup", &path_text(&target)]).await;
    assert!(!folder.join(".target.tar.partial").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_the_former_backup() {
    let (setup, file) = backed_up_store().await;
    let disk = setup.folder().join("small");
    let Some(small) = SmallDisk::mount(&disk, 2).unwrap() else { return };
    let target = disk.join("backup.tar");
    std::fs::copy(&file, &target).unwrap();
    small.fill().unwrap();
    let error = run_failing(&setup, &["backup", &path_text(&target)]).await;
    assert!(error.contains("full") || error.contains("No space left"), "{error}");
    let names: Vec<_> =
        std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the backup and the filler: {names:?}");
    run_ok(&setup, &["restore", &path_text(&target), "--check"]).await;
    small.free_space().unwrap();
    run_ok(&setup, &["backup", &path_text(&target)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_stores_are_backed_up_and_restored_in_one_piece() {
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let mut deployment = testkit::deployment::TestDeployment::with_stores(
        &stores,
        env!("CARGO_BIN_EXE_scalelite"),
        2,
        &[("MULTITENANCY_ENABLED", "false")],
    )
    .await
    .unwrap();
    let setup = deployment.product.setup().clone();
    assert_success(&deployment.product.call("create", &create_query("m%20%C3%A4")).await.unwrap());
    let (postgres, database) = (stores.postgres().unwrap(), stores.postgres_database());
    let inserts = "INSERT INTO public.recordings VALUES (41, 'r-1', 'm', E'Algebra & <tea> 🫖\\n\"2\"\\\\', true, 3, \
        'published', '2023-11-14 22:13:20.123', NULL, NULL, true, false); \
        INSERT INTO public.metadata (recording_id, key, value) VALUES (41, 'k', ''); \
        INSERT INTO public.playback_formats (recording_id, format, url, length) VALUES (41, 'video', '/v', 30)";
    // The first use of the database makes its tables.
    run_ok(&setup, &["recordings", "list"]).await;
    postgres.psql(database, inserts).await.unwrap();
    let rows = async |database: &str| {
        let query = "SELECT * FROM public.recordings ORDER BY 1; SELECT * FROM public.metadata ORDER BY 1; \
                     SELECT * FROM public.playback_formats ORDER BY 1; SELECT * FROM scalelite_own.store_id; \
                     SELECT count(*) FROM scalelite_own.recording_details";
        postgres.psql(database, query).await.unwrap()
    };
    let before = (
        run_ok(&setup, &["servers", "yaml", "--verbose"]).await,
        run_ok(&setup, &["meetings", "list"]).await,
        rows(database).await,
    );
    assert!(before.1.contains("m ä") && before.2.contains("Algebra & <tea>"), "{before:?}");
    let file = path_text(&setup.folder().join("backup.tar"));
    let printed = run_ok(&setup, &["backup", &file]).await;
    assert!(printed.contains("redis and postgresql store"), "{printed}");
    deployment.product.kill().await.unwrap();

    // Other stores, other namespace.
    let others = stores.with_new_databases().await.unwrap();
    let other = setup.clone().with_stores(&others).with_setting("REDIS_NAMESPACE", "other*[x]");
    run_ok(&other, &["restore", &file]).await;
    let after = (
        run_ok(&other, &["servers", "yaml", "--verbose"]).await,
        run_ok(&other, &["meetings", "list"]).await,
        rows(others.postgres_database()).await,
    );
    assert_eq!(after, before);
    let product = other.start().await.unwrap();
    product.add_server("http://127.0.0.1:2/bigbluebutton/api", "x").await.unwrap();
    let info = product.call("getMeetingInfo", "meetingID=m+%C3%A4").await.unwrap();
    assert_success(&info);
    let next_id = "INSERT INTO public.recordings (record_id) VALUES ('new') RETURNING id";
    let id: u64 =
        postgres.psql(others.postgres_database(), next_id).await.unwrap().parse().unwrap();
    assert!(id > 41, "the counter of ids goes on");
    drop(product);
    let refused = run_failing(&other, &["restore", &file]).await;
    assert!(refused.contains("--force replaces it"), "{refused}");
    run_ok(&other, &["restore", &file, "--force"]).await;
    assert_eq!(rows(others.postgres_database()).await, before.2);
    assert_eq!(run_ok(&other, &["servers", "yaml", "--verbose"]).await, before.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_backups_are_kept_and_deleted_by_number() {
    let setup = setup();
    drop(setup.start().await.unwrap());
    let dir = setup.folder().join("backups");
    std::fs::create_dir(&dir).unwrap();
    // What somebody else has put there under such a name is not ours.
    let foreign = dir.join("scalelite-backup-20200101-000000.tar");
    std::fs::write(&foreign, "mine").unwrap();
    let leftover = dir.join(".scalelite-backup-20200101-000000.tar.partial");
    std::fs::write(&leftover, "half").unwrap();
    let setup = setup
        .with_setting("BACKUP_DIR", &path_text(&dir))
        .with_setting("BACKUP_INTERVAL", "0.2")
        .with_setting("BACKUP_KEEP", "2");
    let own = dir.join("scalelite-backup-20200101-000001.tar");
    run_ok(&setup, &["backup", &path_text(&own)]).await;
    let mut product = setup.start().await.unwrap();
    let backups = || {
        let names = std::fs::read_dir(&dir).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.contains("2020")).collect();
        names.sort();
        names
    };
    let deleted = async || product.log().matches("old backup deleted").count() >= 2;
    wait_until("old backups are deleted", deleted).await.unwrap();
    assert!(foreign.exists() && own.exists(), "only the schedule's are deleted");
    assert!(!leftover.exists());
    product.terminate().await.unwrap();
    product.wait_for_exit().await.unwrap();
    let names = backups();
    assert!((2..=3).contains(&names.len()), "{names:?}");
    for name in names.iter().filter(|name| !name.starts_with('.')) {
        run_ok(&setup, &["restore", &path_text(&dir.join(name)), "--check"]).await;
    }
    // Without the directory nothing is lost but the backup, and doctor says so.
    std::fs::remove_dir_all(&dir).unwrap();
    let product = setup.start().await.unwrap();
    let failed = async || product.log().contains("scheduled backup failed");
    wait_until("a failure is logged", failed).await.unwrap();
    let doctor = run(&setup, &["doctor"]).await;
    let findings = String::from_utf8(doctor.stdout).unwrap();
    assert!(findings.contains("FAIL     BACKUP_DIR"), "{findings}");
}
