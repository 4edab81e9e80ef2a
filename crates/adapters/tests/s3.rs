//! Files of recordings in S3: behaviour beyond the contract of the port.

#![expect(clippy::expect_used, reason = "a test that cannot set up its files must fail")]

use adapters::blobs::s3::{S3Blobs, S3Settings, TransferLimits};
use app::ports::{BlobError, Blobs, MoveOutcome, RecordingFormatId, Visibility};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use testkit::private::S3;

fn access(server: &S3, bucket: &str) -> S3Settings {
    S3Settings {
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(server.url()),
        key_id: "key".to_owned(),
        secret_key: "secret".to_owned(),
        session_token: None,
        limits: TransferLimits::default(),
    }
}

fn recording_format_id() -> RecordingFormatId {
    let format = FormatName::parse("video").expect("a format");
    RecordingFormatId { format, record_id: RecordId::parse("r1").expect("an id") }
}

#[tokio::test]
async fn large_objects_go_in_parts_and_types_stay_with_them() {
    let server = S3::start().await.expect("a server");
    let bucket = server.create_bucket().await.expect("a bucket");
    // S3 takes no shorter parts.
    let limits = TransferLimits { upload_bytes: 5 << 20, copy_bytes: 5 << 20 };
    let blobs =
        S3Blobs::new(S3Settings { limits, ..access(&server, &bucket) }).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("made");
    std::fs::create_dir(&from).expect("a directory");
    let film: Vec<u8> = (0..12_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for (name, content) in
        [("video-0.webm", &film[..]), ("a.pdf", b"%PDF"), ("metadata.xml", b"<recording/>")]
    {
        std::fs::write(from.join(name), content).expect("a file");
    }
    let book = recording_format_id();
    blobs.put_format(&from, &book, Visibility::Unpublished).await.expect("put");
    assert_eq!(
        blobs.move_format(&book, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    let path = FilePath::parse("video-0.webm").expect("a path");
    let opened = blobs.open_file(&book, Visibility::Published, &path, None).await.expect("open");
    let (info, bytes) = opened.expect("a file");
    let pieces: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
    assert!(pieces.concat() == film, "{} bytes of {}", pieces.concat().len(), film.len());
    // A tag of several parts says so.
    assert!(info.etag.contains('-'), "{}", info.etag);
    for (name, content_type, disposition) in [
        ("video-0.webm", "video/webm", None),
        ("a.pdf", "application/pdf", Some("attachment")),
        ("metadata.xml", "application/xml", None),
    ] {
        let object = server.get_object(&bucket, &format!("published/video/r1/{name}")).await;
        let object = object.expect("an object");
        assert_eq!(object.header("content-type"), Some(content_type), "{name}");
        assert_eq!(object.header("content-disposition"), disposition, "{name}");
    }
}

#[tokio::test]
async fn what_was_moved_in_part_is_moved_to_the_end() {
    let server = S3::start().await.expect("a server");
    let bucket = server.create_bucket().await.expect("a bucket");
    let blobs = S3Blobs::new(access(&server, &bucket)).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("made");
    std::fs::create_dir(&from).expect("a directory");
    for name in ["a", "b", "metadata.xml"] {
        std::fs::write(from.join(name), name).expect("a file");
    }
    let book = recording_format_id();
    blobs.put_format(&from, &book, Visibility::Unpublished).await.expect("put");
    // As a crash leaves it: one of three has been copied.
    server.put_object(&bucket, "published/video/r1/a", b"copied").await.expect("an object");
    assert_eq!(blobs.locate_format(&book).await.expect("shelves").len(), 2);
    assert_eq!(
        blobs.move_format(&book, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    assert_eq!(blobs.list_files(&book, Visibility::Published, 9).await.expect("files").len(), 3);
    assert_eq!(blobs.locate_format(&book).await.expect("shelves"), [Visibility::Published]);
    // Or all, and the others were not removed yet: what is there stays.
    server.put_object(&bucket, "unpublished/video/r1/late", b"x").await.expect("an object");
    assert_eq!(
        blobs.move_format(&book, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    assert_eq!(blobs.list_files(&book, Visibility::Published, 9).await.expect("files").len(), 3);
    let object = server.get_object(&bucket, "published/video/r1/a").await.expect("an object");
    assert_eq!(object.text(), "copied");
}

#[tokio::test]
async fn a_store_that_is_away_says_so_without_secrets() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let access = S3Settings {
        bucket: "bucket".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        key_id: "visible-key".to_owned(),
        secret_key: "hidden-secret".to_owned(),
        session_token: None,
        limits: TransferLimits::default(),
    };
    let blobs = S3Blobs::new(access).expect("an address");
    let error = blobs.check_blobs().await.expect_err("nobody is there");
    assert!(matches!(error, BlobError::Unavailable(_)));
    let said = format!("{error} {error:?} {blobs:?}");
    assert!(
        !said.contains("key") && !said.contains("hidden") && !said.contains("Signature"),
        "{said}"
    );
}
