//! Import, playback, change and deletion of recordings, in directories and in a bucket, on each
//! kind of store.

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
    let storage = TestStorage::new(kind, files).await;
    let product = storage.setup.start().await.unwrap();
    let (spooled, uploaded) = (SampleRecording::new(1), SampleRecording::new(2));
    storage.import_sample(&product, &spooled).await;
    upload_sample(&product, &uploaded).await;
    for sample in [&spooled, &uploaded] {
        assert_playable(&product, sample).await;
        assert_links_work(&product, sample).await;
        assert_ranges_work(&product, sample).await;
        let id = format!("recordID={}", sample.record_id);
        for _ in 0..2 {
            change_recording(&product, "publishRecordings", &format!("{id}&publish=false")).await;
            assert_hidden(&product, sample).await;
            let files = storage.list_files(sample).await;
            assert!(!files.iter().any(|path| path.contains("/published/")), "{files:?}");
            assert!(!files.iter().any(|path| path.starts_with("published/")), "{files:?}");
        }
        assert!(get_recording(&product, sample).await.contains("<state>unpublished</state>"));
        change_recording(&product, "publishRecordings", &format!("{id}&publish=true")).await;
        assert_playable(&product, sample).await;
        for _ in 0..2 {
            let deleted = change_recording(&product, "deleteRecordings", &id).await;
            assert_eq!(deleted.xml_field("deleted"), "true");
            assert_hidden(&product, sample).await;
            assert_eq!(storage.list_files(sample).await, [""; 0]);
        }
        assert!(get_recording(&product, sample).await.contains("noRecordings"));
        let published =
            product.call("publishRecordings", &format!("{id}&publish=true")).await.unwrap();
        assert_eq!(published.xml_field("returncode"), "FAILED");
    }
    storage.run_command(&storage.setup, &["recordings", "check"]).await;
}

async fn upload_sample(product: &Product, sample: &SampleRecording) {
    add_server(product, uploads::SECRET).await;
    let archive = sample.archive(&FORMATS);
    let digest = uploads::digest(&archive);
    let headers = [("Repr-Digest", digest.as_str())];
    let response = uploads::send_upload(product, "PUT", sample, &headers, Some(&archive)).await;
    assert_eq!(response.status, 201, "{}", response.text());
    let is_listed = async || {
        get_recording(product, sample)
            .await
            .contains("<returncode>SUCCESS</returncode><recordings><recording>")
    };
    wait_until("listed", is_listed).await.unwrap();
}

/// Asserts that every URL in the response to getRecordings is served.
async fn assert_links_work(product: &Product, sample: &SampleRecording) {
    let text = get_recording(product, sample).await;
    let links = text.split("http://").skip(1).filter_map(|rest| rest.split('<').next());
    let targets: Vec<String> =
        links.filter_map(|link| Some(format!("/{}", link.split_once('/')?.1))).collect();
    assert!(targets.len() > FORMATS.len(), "{text}");
    for target in targets {
        let response = product.get(&target).await.unwrap();
        assert!(response.status < 400, "{target}: {}", response.status);
    }
}

/// Asserts that a part of a video is served.
async fn assert_ranges_work(product: &Product, sample: &SampleRecording) {
    let mut request = new_request("GET", &format!("/video/{}/video-0.m4v", sample.record_id));
    request.headers.push(("Range".to_owned(), "bytes=60000-60999".to_owned()));
    let part = product.send(&request).await.unwrap();
    assert_eq!((part.status, part.header("content-type")), (206, Some("video/mp4")));
    let range = format!("bytes 60000-60999/{}", WEBCAMS_MP4.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    assert!(part.body == WEBCAMS_MP4[60_000..61_000]);
}
