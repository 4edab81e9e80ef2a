//! Files of recordings in a bucket: behaviour beyond the contract of the port.

use adapters::blobs::s3::{S3Blobs, S3Settings, TransferLimits};
use app::ports::{BlobError, Blobs, MoveOutcome, RecordingFormatId, Visibility};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use testkit::private::S3;

fn s3_settings(server: &S3, bucket: &str) -> S3Settings {
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
    // The minimum size of a part.
    let limits = TransferLimits { upload_bytes: 5 << 20, copy_bytes: 5 << 20 };
    let blobs =
        S3Blobs::new(S3Settings { limits, ..s3_settings(&server, &bucket) }).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    std::fs::create_dir(&source).expect("a directory");
    let video: Vec<u8> = (0..12_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for (name, content) in
        [("video-0.webm", &video[..]), ("a.pdf", b"%PDF"), ("metadata.xml", b"<recording/>")]
    {
        std::fs::write(source.join(name), content).expect("a file");
    }
    let format_id = recording_format_id();
    blobs.put_format(&source, &format_id, Visibility::Unpublished).await.expect("put");
    assert_eq!(
        blobs.move_format(&format_id, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    let path = FilePath::parse("video-0.webm").expect("a path");
    let opened =
        blobs.open_file(&format_id, Visibility::Published, &path, None).await.expect("open");
    let (info, bytes) = opened.expect("a file");
    let chunks: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
    assert!(chunks.concat() == video, "{} bytes of {}", chunks.concat().len(), video.len());
    // The ETag of an object that was uploaded in parts contains a hyphen.
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
async fn an_interrupted_move_is_continued() {
    let server = S3::start().await.expect("a server");
    let bucket = server.create_bucket().await.expect("a bucket");
    let blobs = S3Blobs::new(s3_settings(&server, &bucket)).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    std::fs::create_dir(&source).expect("a directory");
    for name in ["a", "b", "metadata.xml"] {
        std::fs::write(source.join(name), name).expect("a file");
    }
    let format_id = recording_format_id();
    blobs.put_format(&source, &format_id, Visibility::Unpublished).await.expect("put");
    // As after a crash: one of three objects has been copied.
    server.put_object(&bucket, "published/video/r1/a", b"copied").await.expect("an object");
    assert_eq!(blobs.locate_format(&format_id).await.expect("places").len(), 2);
    assert_eq!(
        blobs.move_format(&format_id, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    assert_eq!(
        blobs.list_files(&format_id, Visibility::Published, 9).await.expect("files").len(),
        3
    );
    assert_eq!(blobs.locate_format(&format_id).await.expect("places"), [Visibility::Published]);
    // As after a crash after the last copy: the copies stay, the remaining source object is
    // removed.
    server.put_object(&bucket, "unpublished/video/r1/late", b"x").await.expect("an object");
    assert_eq!(
        blobs.move_format(&format_id, Visibility::Published).await.expect("move_to"),
        MoveOutcome::Moved
    );
    assert_eq!(
        blobs.list_files(&format_id, Visibility::Published, 9).await.expect("files").len(),
        3
    );
    let object = server.get_object(&bucket, "published/video/r1/a").await.expect("an object");
    assert_eq!(object.text(), "copied");
}

#[tokio::test]
async fn errors_of_an_unavailable_store_contain_no_secrets() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let settings = S3Settings {
        bucket: "bucket".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        key_id: "visible-key".to_owned(),
        secret_key: "hidden-secret".to_owned(),
        session_token: None,
        limits: TransferLimits::default(),
    };
    let blobs = S3Blobs::new(settings).expect("an address");
    let error = blobs.check_blobs().await.expect_err("no server");
    assert!(matches!(error, BlobError::Unavailable(_)));
    let texts = format!("{error} {error:?} {blobs:?}");
    assert!(
        !texts.contains("key") && !texts.contains("hidden") && !texts.contains("Signature"),
        "{texts}"
    );
}
