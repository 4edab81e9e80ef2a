//! Files of recordings in a bucket against the contract of their port, and what only a bucket can show.

#![expect(clippy::expect_used, reason = "a test that cannot set up its files must fail")]

use std::sync::Arc;

use adapters::blobs::s3::{Access, Limits, S3Blobs};
use app::ports::{BlobError, Blobs, Book, Moved, Shelf};
use bytes::Bytes;
use domain::recording::{FilePath, FormatName, RecordId};
use futures_util::TryStreamExt as _;
use futures_util::future::FutureExt as _;
use testkit::contract;
use testkit::private::S3;

fn access(server: &S3, bucket: &str) -> Access {
    Access {
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(server.url()),
        key_id: "key".to_owned(),
        secret: "secret".to_owned(),
        token: None,
        limits: Limits::default(),
    }
}

fn book() -> Book {
    let format = FormatName::parse("video").expect("a format");
    Book { format, record_id: RecordId::parse("r1").expect("an id") }
}

#[tokio::test]
async fn a_bucket_keeps_the_contract() {
    let server = Arc::new(S3::start().await.expect("a server"));
    contract::blobs(&|| {
        let server = server.clone();
        async move {
            let bucket = server.bucket().await.expect("a bucket");
            Arc::new(S3Blobs::new(access(&server, &bucket)).expect("an address")) as _
        }
        .boxed()
    })
    .await;
}

#[tokio::test]
async fn large_objects_go_in_parts_and_types_stay_with_them() {
    let server = S3::start().await.expect("a server");
    let bucket = server.bucket().await.expect("a bucket");
    // S3 takes no shorter parts.
    let limits = Limits { upload: 5 << 20, copy: 5 << 20 };
    let blobs = S3Blobs::new(Access { limits, ..access(&server, &bucket) }).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("made");
    std::fs::create_dir(&from).expect("a directory");
    let film: Vec<u8> = (0..12_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for (name, content) in
        [("video-0.webm", &film[..]), ("a.pdf", b"%PDF"), ("metadata.xml", b"<recording/>")]
    {
        std::fs::write(from.join(name), content).expect("a file");
    }
    let book = book();
    blobs.put(&from, &book, Shelf::Unpublished).await.expect("put");
    assert_eq!(blobs.move_to(&book, Shelf::Published).await.expect("move_to"), Moved::Moved);
    let path = FilePath::parse("video-0.webm").expect("a path");
    let opened = blobs.open(&book, Shelf::Published, &path, None).await.expect("open");
    let (info, bytes) = opened.expect("a file");
    let pieces: Vec<Bytes> = bytes.try_collect().await.expect("bytes");
    assert!(pieces.concat() == film, "{} bytes of {}", pieces.concat().len(), film.len());
    // A tag of several parts says so.
    assert!(info.tag.contains('-'), "{}", info.tag);
    for (name, content_type, disposition) in [
        ("video-0.webm", "video/webm", None),
        ("a.pdf", "application/pdf", Some("attachment")),
        ("metadata.xml", "application/xml", None),
    ] {
        let object = server.object(&bucket, &format!("published/video/r1/{name}")).await;
        let object = object.expect("an object");
        assert_eq!(object.header("content-type"), Some(content_type), "{name}");
        assert_eq!(object.header("content-disposition"), disposition, "{name}");
    }
}

#[tokio::test]
async fn what_was_moved_in_part_is_moved_to_the_end() {
    let server = S3::start().await.expect("a server");
    let bucket = server.bucket().await.expect("a bucket");
    let blobs = S3Blobs::new(access(&server, &bucket)).expect("an address");
    let dir = tempfile::tempdir().expect("a directory");
    let from = dir.path().join("made");
    std::fs::create_dir(&from).expect("a directory");
    for name in ["a", "b", "metadata.xml"] {
        std::fs::write(from.join(name), name).expect("a file");
    }
    let book = book();
    blobs.put(&from, &book, Shelf::Unpublished).await.expect("put");
    // As a crash leaves it: one of three has been copied.
    server.put(&bucket, "published/video/r1/a", b"copied").await.expect("an object");
    assert_eq!(blobs.shelves(&book).await.expect("shelves").len(), 2);
    assert_eq!(blobs.move_to(&book, Shelf::Published).await.expect("move_to"), Moved::Moved);
    assert_eq!(blobs.files(&book, Shelf::Published, 9).await.expect("files").len(), 3);
    assert_eq!(blobs.shelves(&book).await.expect("shelves"), [Shelf::Published]);
    // Or all, and the others were not removed yet: what is there stays.
    server.put(&bucket, "unpublished/video/r1/late", b"x").await.expect("an object");
    assert_eq!(blobs.move_to(&book, Shelf::Published).await.expect("move_to"), Moved::Moved);
    assert_eq!(blobs.files(&book, Shelf::Published, 9).await.expect("files").len(), 3);
    let object = server.object(&bucket, "published/video/r1/a").await.expect("an object");
    assert_eq!(object.text(), "copied");
}

#[tokio::test]
async fn a_store_that_is_away_says_so_without_secrets() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let access = Access {
        bucket: "bucket".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        key_id: "visible-key".to_owned(),
        secret: "hidden-secret".to_owned(),
        token: None,
        limits: Limits::default(),
    };
    let blobs = S3Blobs::new(access).expect("an address");
    let error = blobs.check().await.expect_err("nobody is there");
    assert!(matches!(error, BlobError::Unavailable(_)));
    let said = format!("{error} {error:?} {blobs:?}");
    assert!(
        !said.contains("key") && !said.contains("hidden") && !said.contains("Signature"),
        "{said}"
    );
}
