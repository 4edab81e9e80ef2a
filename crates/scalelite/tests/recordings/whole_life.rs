//! The whole life of a recording from outside: in directories and in a bucket, on each kind of store.

use testkit::product::{Product, new_request, wait_until};
use testkit::samples::{FORMATS, SampleRecording, WEBCAMS_MP4};
use testkit::stores::StoreKind;

use crate::test_storage::{
    FileStorage, TestStorage, assert_hidden, assert_playable, change_recording, get_recording,
};
use crate::tools::add_server;
use crate::uploads;

#[tokio::test(flavor = "multi_thread")]
async fn in_directories_and_sqlite() {
    whole_life(StoreKind::Embedded, FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_directories_and_postgres() {
    whole_life(StoreKind::RedisAndPostgres, FileStorage::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_and_sqlite() {
    whole_life(StoreKind::Embedded, FileStorage::Bucket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_and_postgres() {
    whole_life(StoreKind::RedisAndPostgres, FileStorage::Bucket).await;
}

async fn whole_life(kind: StoreKind, files: FileStorage) {
    let house = TestStorage::new(kind, files).await;
    let product = house.setup.start().await.unwrap();
    let (spooled, uploaded) = (SampleRecording::new(1), SampleRecording::new(2));
    house.import_sample(&product, &spooled).await;
    upload_sample(&product, &uploaded).await;
    for sample in [&spooled, &uploaded] {
        assert_playable(&product, sample).await;
        assert_links_work(&product, sample).await;
        assert_ranges_work(&product, sample).await;
        let id = format!("recordID={}", sample.record_id);
        for _ in 0..2 {
            change_recording(&product, "publishRecordings", &format!("{id}&publish=false")).await;
            assert_hidden(&product, sample).await;
            let there = house.list_files(sample).await;
            assert!(!there.iter().any(|path| path.contains("/published/")), "{there:?}");
            assert!(!there.iter().any(|path| path.starts_with("published/")), "{there:?}");
        }
        assert!(get_recording(&product, sample).await.contains("<state>unpublished</state>"));
        change_recording(&product, "publishRecordings", &format!("{id}&publish=true")).await;
        assert_playable(&product, sample).await;
        for _ in 0..2 {
            let deleted = change_recording(&product, "deleteRecordings", &id).await;
            assert_eq!(deleted.xml_field("deleted"), "true");
            assert_hidden(&product, sample).await;
            assert_eq!(house.list_files(sample).await, [""; 0]);
        }
        assert!(get_recording(&product, sample).await.contains("noRecordings"));
        let back = product.call("publishRecordings", &format!("{id}&publish=true")).await.unwrap();
        assert_eq!(back.xml_field("returncode"), "FAILED");
    }
    house.run_command(&house.setup, &["recordings", "check"]).await;
}

async fn upload_sample(product: &Product, sample: &SampleRecording) {
    add_server(product, uploads::SECRET).await;
    let archive = sample.archive(&FORMATS);
    let digest = uploads::digest(&archive);
    let headers = [("Repr-Digest", digest.as_str())];
    let answer = uploads::send_upload(product, "PUT", sample, &headers, Some(&archive)).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let there = async || {
        get_recording(product, sample)
            .await
            .contains("<returncode>SUCCESS</returncode><recordings><recording>")
    };
    wait_until("listed", there).await.unwrap();
}

/// Whatever getRecordings names, of playbacks and of previews.
async fn assert_links_work(product: &Product, sample: &SampleRecording) {
    let text = get_recording(product, sample).await;
    let links = text.split("http://").skip(1).filter_map(|rest| rest.split('<').next());
    let targets: Vec<String> =
        links.filter_map(|link| Some(format!("/{}", link.split_once('/')?.1))).collect();
    assert!(targets.len() > FORMATS.len(), "{text}");
    for target in targets {
        let answer = product.get(&target).await.unwrap();
        assert!(answer.status < 400, "{target}: {}", answer.status);
    }
}

/// A player that jumps into the film.
async fn assert_ranges_work(product: &Product, sample: &SampleRecording) {
    let film = WEBCAMS_MP4;
    let mut request = new_request("GET", &format!("/video/{}/video-0.m4v", sample.record_id));
    request.headers.push(("Range".to_owned(), "bytes=60000-60999".to_owned()));
    let part = product.send(&request).await.unwrap();
    assert_eq!((part.status, part.header("content-type")), (206, Some("video/mp4")));
    let range = format!("bytes 60000-60999/{}", film.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert!(part.body == film[60_000..61_000]);
}
