//! docs/migration.md, tried word for word: its commands are run on a deployment of the original, with paths and ports of this
//! machine in place of the usual ones; and what would be lost of a deployment is named by `migrate check`.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use testkit::product::{exchange, new_request};

use crate::keyspace::Keyspace;
use crate::original::{FORMATS, Original, SECRET};

const GUIDE: &str = include_str!("../../../../docs/migration.md");

/// The commands in the code blocks of a section of the guide.
fn commands_of(section: &str) -> Vec<&'static str> {
    let section = GUIDE.split("\n### ").find(|text| text.starts_with(section)).unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Meetings and recordings of the original are there.
async fn check_that_it_works(original: &Original) {
    let list = original.call("getRecordings", "").await;
    assert_eq!(list.matches("<recordID>").count(), 3, "{list}");
    let video = format!("/video/{}/index.html", FORMATS[1].2);
    let played = exchange(original.port, &new_request("GET", &video)).await.unwrap();
    assert_eq!((played.status, played.text().as_str()), (200, "the recording"));
    let hidden = format!("/presentation/{}/index.html", FORMATS[2].2);
    assert_eq!(exchange(original.port, &new_request("GET", &hidden)).await.unwrap().status, 404);
    assert!(
        original.call("create", "meetingID=new").await.contains("SUCCESS"),
        "{}",
        original.log()
    );
    assert!(original.call("create", "meetingID=M1").await.contains("SUCCESS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_works_word_for_word() {
    let mut original = Original::start().await;
    let rows = async |original: &Original| {
        let dump = original
            .postgres
            .dump(&original.database, &["--inserts", "--schema=public"])
            .await
            .unwrap();
        dump.lines()
            .filter(|line| line.starts_with("INSERT"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let before = rows(&original).await;
    let checks = commands_of("1. Check");
    assert_eq!(checks.len(), 3);
    for line in checks {
        let table = original.run_line(line).await;
        assert!(table.contains("Nothing would be lost."), "{line}: {table}");
        assert!(
            table.contains("3 servers, 3 meetings, 0 tenants")
                && table.contains("3 recordings, adopted when"),
            "{table}"
        );
        assert!(table.contains("where playback looks"), "{table}");
        assert!(!table.contains(SECRET), "{table}");
    }
    for line in commands_of("2. Back up") {
        let printed = original.run_line(line).await;
        if line == "scalelite config" {
            let spool = original.recordings().join("spool").display().to_string();
            assert!(printed.contains(&spool), "{printed}");
        }
    }
    assert!(std::fs::metadata(original.path("before.sql")).unwrap().size() > 1000);
    assert!(std::fs::metadata(original.path("before.rdb")).unwrap().size() > 100);
    assert_eq!(rows(&original).await, before);
    let after = Keyspace::read_from(&original.redis).await;
    assert!(after.list_differences(&original.before).is_empty(), "checks change nothing");
    for line in commands_of("3. Switch") {
        let printed = original.run_line(line).await;
        match line {
            "scalelite status" => assert_eq!(printed.matches("enabled").count(), 3, "{printed}"),
            "scalelite meetings list" => {
                assert!(["M1", "M2", "M3"].iter().all(|id| printed.contains(id)), "{printed}");
            }
            "scalelite recordings list" => assert!(printed.contains("1700000000123"), "{printed}"),
            _ => {}
        }
    }
    check_that_it_works(&original).await;
    for line in commands_of("Back") {
        original.run_line(line).await;
    }
    assert_eq!(rows(&original).await, before, "no row of the original has changed");
}

/// Settings that are missing, wrong, or stand elsewhere; and hosts that only containers can resolve.
async fn lose_settings(original: &Original) {
    original.expect_loss(&[("LOADBALANCER_SECRET", "")], &[], &["front-ends could not call"]).await;
    original
        .expect_loss(&[("SECRET_KEY_BASE", "")], &[], &["cookies of protected recordings"])
        .await;
    let port = [("BIND", "nonsense://")];
    original.expect_loss(&port, &[], &["BIND: `nonsense://` is not allowed"]).await;
    let compose = original.path("other.yml");
    let service = "services:\n  api:\n    environment: [MAX_MEETING_DURATION=90]\n    volumes:\n      - spool:/var/bigbluebutton/spool\n  redis: {}\n";
    std::fs::write(&compose, service).unwrap();
    let arguments = ["--compose", compose.to_str().unwrap()];
    let texts = ["write MAX_MEETING_DURATION into the file", "it is in the volume spool"];
    original.expect_loss(&[], &arguments, &texts).await;

    let redis = [("REDIS_URL", "redis://redis:6379")];
    original.expect_loss(&redis, &arguments, &["redis is a service of the compose file"]).await;
    original
        .expect_loss(&[("REDIS_URL", "")], &[], &["write REDIS_URL=redis://127.0.0.1:6379"])
        .await;
    original.expect_loss(&[("DATABASE_URL", "")], &[], &["the original's DATABASE_URL"]).await;
}

async fn lose_directories(original: &Original) {
    let (root, recordings) = (original.root.path().display().to_string(), original.recordings());
    let elsewhere = format!("{root}/elsewhere");
    let unit = original.path("other.service");
    let text = format!(
        "[Service]\nExecStart=docker run -v {}:/var/bigbluebutton x\n",
        recordings.display()
    );
    std::fs::write(&unit, text).unwrap();
    let arguments = ["--unit", unit.to_str().unwrap()];
    let spool = format!("write RECORDING_SPOOL_DIR={}/spool into the file", recordings.display());
    let changed = [("SCALELITE_RECORDING_DIR", elsewhere.as_str())];
    original.expect_loss(&changed, &arguments, &[&spool, "have no files there"]).await;
    original.expect_loss(&changed, &[], &["it does not exist"]).await;
    let inside = [("RECORDING_SPOOL_DIR", "/var/bigbluebutton/spool")];
    original.expect_loss(&inside, &[], &[&spool]).await;
    let mount = format!("host:/export {} nfs defaults 0 0\n", recordings.display());
    std::fs::write(original.path("fstab"), mount).unwrap();
    original.expect_loss(&[], &[], &["nothing is mounted at"]).await;
    std::fs::write(original.path("fstab"), "").unwrap();

    if std::fs::metadata(&root).unwrap().uid() == 0 {
        let spool = recordings.join("spool");
        std::os::unix::fs::chown(&spool, Some(4242), Some(4242)).unwrap();
        original
            .expect_loss(&[], &[], &["belongs to 4242:4242: is its file system mounted?"])
            .await;
        std::os::unix::fs::chown(&spool, Some(0), Some(0)).unwrap();
    }
}

async fn lose_files(original: &Original) {
    let (root, recordings) = (original.root.path().display().to_string(), original.recordings());
    let dir = |at: usize| recordings.join(FORMATS[at].0).join(FORMATS[at].1).join(FORMATS[at].2);
    let file = dir(1).join("index.html");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    original.expect_loss(&[], &[], &["cannot be read by", file.to_str().unwrap()]).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(dir(0), original.path("kept")).unwrap();
    original.expect_loss(&[], &[], &["have no files there", dir(0).to_str().unwrap()]).await;
    let wrong = recordings.join("unpublished/presentation").join(FORMATS[0].2);
    std::fs::rename(original.path("kept"), &wrong).unwrap();
    original.expect_loss(&[], &[], &["are in the other directory"]).await;
    std::fs::rename(&wrong, dir(0)).unwrap();
    if std::fs::metadata(&root).unwrap().uid() == 0 {
        let arguments = ["--user", "nobody"];
        let texts = [
            "nobody may not write there: chmod g+rwx",
            "usermod -aG root nobody",
            "cannot be read by nobody",
        ];
        original.expect_loss(&[], &arguments, &texts).await;
    }
}

async fn lose_stores(original: &Original) {
    let empty = original.postgres.next_database().await.unwrap();
    let other = [("DATABASE_URL", original.postgres.url(&empty))];
    original
        .expect_loss(&[("DATABASE_URL", &other[0].1)], &[], &["has no tables of the original"])
        .await;
    original.postgres.stop().await.unwrap();
    original.expect_loss(&[], &[], &["the database cannot be used from here"]).await;
    original.redis.kill().await.unwrap();
    original.expect_loss(&[], &[], &["Redis cannot be used from here"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_planted_loss_is_named() {
    let original = Original::start().await;
    let (code, table) = original.check(&original.path("default"), &[]).await;
    assert_eq!(code, 0, "{table}");
    assert!(table.contains("NGINX_SSL") && table.contains("SCALELITE_TAG"), "{table}");
    lose_settings(&original).await;
    lose_directories(&original).await;
    lose_files(&original).await;
    lose_stores(&original).await;
}
