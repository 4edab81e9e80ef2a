//! `bigbluebutton/scalelite_post_publish.rb`, run by Ruby as BigBlueButton runs it, against the started balancer.

use std::path::PathBuf;

use testkit::product::{Product, Setup, wait_until};
use testkit::samples::SampleRecording;
use tokio::process::Command;

use crate::tools::{
    add_server, file_names, format_names, recording_row, setup, visibility_of, wait_until_imported,
};

const SECRET: &str = "secret of the server+/=";

/// A BBB server's directories and settings, below the folder of a setup.
struct BbbServerDirs {
    root: PathBuf,
}

impl BbbServerDirs {
    fn new(setup: &Setup, more: &str) -> Self {
        let root = setup.folder().join("node");
        for dir in ["published", "scripts"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        let settings = format!(
            "work_dir: {0}/work\nqueue_dir: {0}/queue\npublished_dir: {0}/published\ndone_dir: {0}/done\n{more}",
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

    /// Runs the script; true if it says that all is well.
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
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("warning:") && !said.contains(SECRET), "{said}");
        (output.status.success(), said)
    }

    fn list_waiting(&self) -> Vec<String> {
        file_names(&self.root.join("queue"))
            .into_iter()
            .filter(|name| !name.starts_with('.'))
            .collect()
    }
}

async fn start_product_and_server(more: &str) -> (Product, BbbServerDirs) {
    let setup = setup();
    let product = setup.start().await.unwrap();
    add_server(&product, SECRET).await;
    let url = format!("url: http://127.0.0.1:{}\nsecret: \"{SECRET}\"\n{more}", product.port());
    let node = BbbServerDirs::new(&setup, &url);
    (product, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_published_format_is_uploaded_with_those_before() {
    let (product, node) = start_product_and_server("").await;
    let sample = SampleRecording::new(1);
    for format in ["presentation", "video"] {
        node.publish(&sample, format);
        let (good, said) = node.run(&["-m", &sample.record_id, "-f", format]).await;
        assert!(good, "{said}");
        wait_until_imported(product.setup()).await;
    }
    let recording = async || recording_row(product.setup(), &sample).await;
    wait_until("merged", async || recording().await.is_some_and(|one| one.formats.len() == 2))
        .await
        .unwrap();
    assert_eq!(format_names(&recording().await.unwrap()), ["presentation", "video"]);
    assert_eq!(visibility_of(product.setup(), &sample, "presentation"), Some("published"));
    assert!(node.list_waiting().is_empty() && file_names(&node.root.join("work")).is_empty());
    assert_eq!(file_names(&node.root.join("done")), [format!("{}-sender.done", sample.record_id)]);
    assert!(node.root.join("published/video").join(&sample.record_id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_waits_and_is_sent_later() {
    let (mut product, node) =
        start_product_and_server("attempts: 1\ndelete_recording: true\n").await;
    let sample = SampleRecording::new(2);
    node.publish(&sample, "podcast");
    let setup = product.setup().clone();
    let port = product.port();
    product.kill().await.unwrap();
    let (good, said) = node.run(&["-m", &sample.record_id, "-f", "podcast"]).await;
    assert!(!good && said.contains("waits"), "{said}");
    assert_eq!(node.list_waiting(), [sample.record_id.as_str()]);
    assert!(node.root.join("published/podcast").join(&sample.record_id).exists());
    let again = setup.clone().with_setting("BIND", &format!("tcp://127.0.0.1:{port}"));
    let _product = again.start().await.unwrap();
    let (good, said) = node.run(&["--flush"]).await;
    assert!(good, "{said}");
    wait_until_imported(&setup).await;
    wait_until("there", async || visibility_of(&setup, &sample, "podcast").is_some())
        .await
        .unwrap();
    assert!(node.list_waiting().is_empty());
    assert!(!node.root.join("published/podcast").join(&sample.record_id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_recordings_are_sent_in_a_batch_once() {
    let (product, node) = start_product_and_server("").await;
    let samples: Vec<SampleRecording> = (10..13).map(SampleRecording::new).collect();
    for sample in &samples {
        node.publish(sample, "notes");
    }
    let (good, said) = node.run(&["--batch"]).await;
    assert!(good && said.contains("3 of 3"), "{said}");
    wait_until_imported(product.setup()).await;
    for sample in &samples {
        wait_until("there", async || visibility_of(product.setup(), sample, "notes").is_some())
            .await
            .unwrap();
    }
    let (good, said) = node.run(&["--batch"]).await;
    assert!(good && !said.contains("sent"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_and_keep_the_recording() {
    let (_product, node) = start_product_and_server("").await;
    let wrong = std::fs::read_to_string(node.root.join("scripts/scalelite.yml")).unwrap();
    std::fs::write(node.root.join("scripts/scalelite.yml"), wrong.replace(SECRET, "wrong"))
        .unwrap();
    let sample = SampleRecording::new(3);
    node.publish(&sample, "notes");
    let (good, said) = node.run(&["-m", &sample.record_id, "-f", "notes"]).await;
    assert!(!good && said.contains("cannot be sent") && said.contains("401"), "{said}");
    assert_eq!(node.list_waiting(), [sample.record_id.as_str()]);
    for wrong in [&["-m", "../../etc"][..], &["-m"], &[], &["--flush", "--batch"]] {
        assert!(!node.run(wrong).await.0, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_directory_is_filled_by_rsync() {
    let setup = setup();
    let _product = setup.start().await.unwrap();
    let spool = setup.folder().join("spool");
    let node = BbbServerDirs::new(
        &setup,
        &format!("spool_dir: {}\nextra_rsync_opts: [--times]\n", spool.display()),
    );
    let sample = SampleRecording::new(4);
    node.publish(&sample, "screenshare");
    let (good, said) = node.run(&["-m", &sample.record_id, "-f", "screenshare"]).await;
    assert!(good, "{said}");
    wait_until_imported(&setup).await;
    wait_until("there", async || visibility_of(&setup, &sample, "screenshare").is_some())
        .await
        .unwrap();
}
