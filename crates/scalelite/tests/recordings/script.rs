//! `bigbluebutton/scalelite_post_publish.rb`, run by Ruby as BigBlueButton runs it, against a
//! running balancer.

use std::path::PathBuf;

use testkit::product::{Product, Setup, wait_until};
use testkit::samples::SampleRecording;
use tokio::process::Command;

use crate::tools::{
    add_server, file_names, format_names, recording_row, setup, visibility_of, wait_until_imported,
};

const SECRET: &str = "secret of the server+/=";

/// The directories and settings of a BigBlueButton server, in the folder of a setup.
struct BbbServerDirs {
    root: PathBuf,
}

impl BbbServerDirs {
    fn new(setup: &Setup, more_settings: &str) -> Self {
        let root = setup.folder().join("node");
        for dir in ["published", "scripts"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        let settings = format!(
            "work_dir: {0}/work\nqueue_dir: {0}/queue\npublished_dir: {0}/published\ndone_dir: {0}/done\n{more_settings}",
            root.display()
        );
        std::fs::write(root.join("scripts/scalelite.yml"), settings).unwrap();
        Self { root }
    }

    fn publish(&self, sample: &SampleRecording, format: &str) {
        let dir = self.root.join("published").join(format).join(&sample.record_id);
        for (path, content) in sample.files(format) {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    /// Runs the script; returns whether it succeeded, and its error output.
    async fn run(&self, arguments: &[&str]) -> (bool, String) {
        let script =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../bigbluebutton/scalelite_post_publish.rb");
        let config = self.root.join("scripts/scalelite.yml");
        let output = Command::new("ruby")
            .args(["-W", script, "--config"])
            .arg(config)
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await
            .expect("bin/test installs Ruby");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!stderr.contains("warning:") && !stderr.contains(SECRET), "{stderr}");
        (output.status.success(), stderr)
    }

    fn list_waiting(&self) -> Vec<String> {
        file_names(&self.root.join("queue"))
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect()
    }
}

async fn start_product_and_server(more_settings: &str) -> (Product, BbbServerDirs) {
    let setup = setup();
    let product = setup.start().await.unwrap();
    add_server(&product, SECRET).await;
    let url =
        format!("url: http://127.0.0.1:{}\nsecret: \"{SECRET}\"\n{more_settings}", product.port());
    let bbb_dirs = BbbServerDirs::new(&setup, &url);
    (product, bbb_dirs)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_published_format_is_uploaded_with_those_before() {
    let (product, bbb_dirs) = start_product_and_server("").await;
    let sample = SampleRecording::new(1);
    for format in ["presentation", "video"] {
        bbb_dirs.publish(&sample, format);
        let (is_ok, stderr) = bbb_dirs.run(&["-m", &sample.record_id, "-f", format]).await;
        assert!(is_ok, "{stderr}");
        wait_until_imported(product.setup()).await;
    }
    let recording = async || recording_row(product.setup(), &sample).await;
    let is_merged =
        async || recording().await.is_some_and(|recording| recording.formats.len() == 2);
    wait_until("merged", is_merged).await.unwrap();
    assert_eq!(format_names(&recording().await.unwrap()), ["presentation", "video"]);
    assert_eq!(visibility_of(product.setup(), &sample, "presentation"), Some("published"));
    assert!(
        bbb_dirs.list_waiting().is_empty() && file_names(&bbb_dirs.root.join("work")).is_empty()
    );
    assert_eq!(
        file_names(&bbb_dirs.root.join("done")),
        [format!("{}-sender.done", sample.record_id)]
    );
    assert!(bbb_dirs.root.join("published/video").join(&sample.record_id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_waits_and_is_sent_later() {
    let (mut product, bbb_dirs) =
        start_product_and_server("attempts: 1\ndelete_recording: true\n").await;
    let sample = SampleRecording::new(2);
    bbb_dirs.publish(&sample, "podcast");
    let setup = product.setup().clone();
    let port = product.port();
    product.kill().await.unwrap();
    let (is_ok, stderr) = bbb_dirs.run(&["-m", &sample.record_id, "-f", "podcast"]).await;
    assert!(!is_ok && stderr.contains("waits"), "{stderr}");
    assert_eq!(bbb_dirs.list_waiting(), [sample.record_id.as_str()]);
    assert!(bbb_dirs.root.join("published/podcast").join(&sample.record_id).exists());
    let again = setup.clone().with_setting("BIND", &format!("tcp://127.0.0.1:{port}"));
    let _product = again.start().await.unwrap();
    let (is_ok, stderr) = bbb_dirs.run(&["--flush"]).await;
    assert!(is_ok, "{stderr}");
    wait_until_imported(&setup).await;
    wait_until("imported", async || visibility_of(&setup, &sample, "podcast").is_some())
        .await
        .unwrap();
    assert!(bbb_dirs.list_waiting().is_empty());
    assert!(!bbb_dirs.root.join("published/podcast").join(&sample.record_id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_recordings_are_sent_in_a_batch_once() {
    let (product, bbb_dirs) = start_product_and_server("").await;
    let samples: Vec<SampleRecording> = (10..13).map(SampleRecording::new).collect();
    for sample in &samples {
        bbb_dirs.publish(sample, "notes");
    }
    let (is_ok, stderr) = bbb_dirs.run(&["--batch"]).await;
    assert!(is_ok && stderr.contains("3 of 3"), "{stderr}");
    wait_until_imported(product.setup()).await;
    for sample in &samples {
        wait_until("imported", async || visibility_of(product.setup(), sample, "notes").is_some())
            .await
            .unwrap();
    }
    let (is_ok, stderr) = bbb_dirs.run(&["--batch"]).await;
    assert!(is_ok && !stderr.contains("sent"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_and_keep_the_recording() {
    let (_product, bbb_dirs) = start_product_and_server("").await;
    let wrong = std::fs::read_to_string(bbb_dirs.root.join("scripts/scalelite.yml")).unwrap();
    std::fs::write(bbb_dirs.root.join("scripts/scalelite.yml"), wrong.replace(SECRET, "wrong"))
        .unwrap();
    let sample = SampleRecording::new(3);
    bbb_dirs.publish(&sample, "notes");
    let (is_ok, stderr) = bbb_dirs.run(&["-m", &sample.record_id, "-f", "notes"]).await;
    assert!(!is_ok && stderr.contains("cannot be sent") && stderr.contains("401"), "{stderr}");
    assert_eq!(bbb_dirs.list_waiting(), [sample.record_id.as_str()]);
    for wrong in [&["-m", "../../etc"][..], &["-m"], &[], &["--flush", "--batch"]] {
        assert!(!bbb_dirs.run(wrong).await.0, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_directory_is_filled_by_rsync() {
    let setup = setup();
    let _product = setup.start().await.unwrap();
    let spool = setup.folder().join("spool");
    let bbb_dirs = BbbServerDirs::new(
        &setup,
        &format!("spool_dir: {}\nextra_rsync_opts: [--times]\n", spool.display()),
    );
    let sample = SampleRecording::new(4);
    bbb_dirs.publish(&sample, "screenshare");
    let (is_ok, stderr) = bbb_dirs.run(&["-m", &sample.record_id, "-f", "screenshare"]).await;
    assert!(is_ok, "{stderr}");
    wait_until_imported(&setup).await;
    wait_until("imported", async || visibility_of(&setup, &sample, "screenshare").is_some())
        .await
        .unwrap();
}
