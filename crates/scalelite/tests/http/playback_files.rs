//! The files of recordings: headers, ranges, compression and access.

use std::io::Read as _;

use domain::recording::Recording;
use testkit::product::{ClientConnection, new_request};

use crate::test_playback::{RECORD_ID, TestPlayback, assert_not_found, file_target, recording};

const FILE_TEXT: &str = "0123456789";

async fn start_playback() -> TestPlayback {
    let files = [
        ("video/index.html", "<html>video</html>"),
        ("video/video-0.m4v", FILE_TEXT),
        ("video/a b/ü.vtt", "WEBVTT\n"),
        ("podcast/audio.ogg", "sound"),
        ("notes/notes.pdf", "%PDF"),
        ("presentation/metadata.xml", "<recording/>"),
    ];
    TestPlayback::with_formats(&[], recording(&["podcast", "presentation", "video"]), &files).await
}

#[tokio::test]
async fn files_have_their_types_and_headers() {
    let playback = start_playback().await;
    for (path, content_type, attachment) in [
        ("video/video-0.m4v", "video/mp4", None),
        ("video/index.html", "text/html; charset=utf-8", None),
        ("video/a%20b/%C3%BC.vtt", "text/vtt; charset=utf-8", None),
        ("podcast/audio.ogg", "audio/ogg", Some("attachment")),
        ("presentation/metadata.xml", "application/xml; charset=utf-8", None),
    ] {
        let response = playback.get(&file_target(path)).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("content-disposition"), attachment);
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("cache-control"), Some("no-cache"));
        assert!(response.header("content-security-policy").is_some());
        assert!(response.header("etag").is_some_and(|tag| tag.starts_with('"')));
        assert!(response.header("last-modified").is_some());
    }
    let head = playback.send("HEAD", &file_target("video/video-0.m4v"), &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    let post = playback.send("POST", &file_target("video/video-0.m4v"), &[]).await;
    assert_eq!(post.xml_field("messageKey"), "unsupportedRequest");
}

#[tokio::test]
async fn ranges_are_sent() {
    let playback = start_playback().await;
    let video = file_target("video/video-0.m4v");
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=0-99", 206, Some("bytes 0-9/10"), FILE_TEXT),
        ("bytes=10-", 416, Some("bytes */10"), ""),
        ("bytes=0-1,4-5", 200, None, FILE_TEXT),
        ("seconds=1-2", 200, None, FILE_TEXT),
    ] {
        let response = playback.send("GET", &video, &[("Range", range)]).await;
        assert_eq!(response.status, status, "{range}");
        assert_eq!(response.header("content-range"), content_range, "{range}");
        assert_eq!(response.text(), body, "{range}");
    }
    let tag = playback.get(&video).await.header("etag").unwrap().to_owned();
    for (if_range, status) in [(tag.as_str(), 206), ("\"other\"", 200)] {
        let headers = [("Range", "bytes=0-1"), ("If-Range", if_range)];
        assert_eq!(playback.send("GET", &video, &headers).await.status, status, "{if_range}");
    }
}

#[tokio::test]
async fn unchanged_files_are_not_sent_again() {
    let playback = start_playback().await;
    let video = file_target("video/video-0.m4v");
    let first = playback.get(&video).await;
    let [tag, date] = ["etag", "last-modified"].map(|name| first.header(name).unwrap());
    for header in [("If-None-Match", tag), ("If-Modified-Since", date)] {
        let again = playback.send("GET", &video, &[header]).await;
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{header:?}");
        assert_eq!(again.header("etag"), Some(tag));
    }
    playback.write_file("video/video-0.m4v", b"changed");
    let again = playback.send("GET", &video, &[("If-None-Match", tag)]).await;
    assert_eq!((again.status, again.text().as_str()), (200, "changed"));
}

#[tokio::test]
async fn long_texts_are_compressed_for_clients_that_accept_gzip() {
    let playback = start_playback().await;
    let text = "<svg/>".repeat(100_000);
    playback.write_file("presentation/shapes.svg", text.as_bytes());
    let gzip = [("Accept-Encoding", "gzip, br")];
    let response = playback.send("GET", &file_target("presentation/shapes.svg"), &gzip).await;
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert_eq!(response.header("vary"), Some("accept-encoding"));
    assert!(response.body.len() < text.len() / 10);
    let mut text_received = String::new();
    flate2::read::GzDecoder::new(response.body.as_slice())
        .read_to_string(&mut text_received)
        .unwrap();
    assert_eq!(text_received, text);
    let tag = response.header("etag").unwrap();
    let again = [gzip[0], ("If-None-Match", tag)];
    let again = playback.send("GET", &file_target("presentation/shapes.svg"), &again).await;
    assert_eq!(again.status, 304);
    let plain = playback.get(&file_target("presentation/shapes.svg")).await;
    assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, text.len()));
    assert_ne!(plain.header("etag"), Some(tag));
    // Short texts, ranges and videos are not compressed; a stored `.gz` file is sent as it is.
    playback.write_file("presentation/captions.json.gz", b"packed");
    playback.write_file("presentation/captions.json", b"[]");
    let compressed = playback.send("GET", &file_target("presentation/captions.json"), &gzip).await;
    assert_eq!(
        (compressed.header("content-encoding"), compressed.text().as_str()),
        (Some("gzip"), "packed")
    );
    for path in ["video/video-0.m4v", "presentation/metadata.xml"] {
        let response = playback.send("GET", &file_target(path), &gzip).await;
        assert_eq!(response.header("content-encoding"), None, "{path}");
    }
    let part = [gzip[0], ("Range", "bytes=0-4")];
    let part = playback.send("GET", &file_target("presentation/shapes.svg"), &part).await;
    assert_eq!((part.status, part.text().as_str()), (206, "<svg/"));
}

#[tokio::test]
async fn directories_are_answered_with_their_index_pages() {
    let playback = start_playback().await;
    let bare = playback.get(&format!("/video/{RECORD_ID}?t=3")).await;
    let location = format!("/video/{RECORD_ID}/?t=3");
    assert_eq!((bare.status, bare.header("location")), (301, Some(location.as_str())));
    assert_eq!(playback.get(&file_target("video/")).await.text(), "<html>video</html>");
    playback.write_file("video/deep/index.html", b"deep");
    let deep = playback.get(&file_target("video/deep")).await;
    assert_eq!(
        (deep.status, deep.header("location")),
        (301, Some(file_target("video/deep/").as_str()))
    );
    assert_eq!(playback.get(&file_target("video/deep/")).await.text(), "deep");
    assert_not_found(&playback.get(&file_target("video/a%20b/")).await);
    // A recording without a page of its own gets the listing page.
    let page = playback.get(&file_target("presentation/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<a href=\"metadata.xml\">"), "{}", page.text());
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

#[tokio::test]
async fn hidden_files_are_not_found() {
    let playback = start_playback().await;
    let outside = playback.folder().join("secret");
    std::fs::write(&outside, "secret").unwrap();
    std::os::unix::fs::symlink(
        &outside,
        playback.folder().join("published/video").join(RECORD_ID).join("link"),
    )
    .unwrap();
    for path in [
        "video/none.m4v",
        "video/link",
        "video/..",
        "video/../../../secret",
        "video/%2e%2e/%2e%2e/%2e%2e/secret",
        "video/..%2f..%2f..%2fsecret",
        "video/a%00",
        "video/a%20b",
        "video/video-0.m4v/",
        // The files exist, but the recording does not have the format.
        "notes/notes.pdf",
    ] {
        assert_not_found(&playback.get(&file_target(path)).await);
    }
    for target in ["/video/nobody/video-0.m4v", "/recording/nobody/video", "/recording/../video"] {
        assert_not_found(&playback.get(target).await);
    }
    let unknown = playback.get(&format!("/unknown/{RECORD_ID}/x")).await;
    assert_eq!(unknown.xml_field("messageKey"), "unsupportedRequest");
}

/// The original sets the state when it imports a recording again, and knows nothing of our time of
/// deletion.
#[tokio::test]
async fn a_recording_that_the_original_imported_again_is_shown() {
    let playback = start_playback().await;
    let again = Recording {
        deleted_at: Some(domain::Timestamp(1)),
        ..recording(&["presentation", "video"])
    };
    playback.record_recording(&again).await;
    assert_eq!(playback.get(&file_target("video/")).await.status, 200);
    let listed = playback.product.call("getRecordings", "").await.unwrap().text();
    assert!(listed.contains(RECORD_ID), "{listed}");
}

#[tokio::test]
async fn unpublished_and_deleted_recordings_are_not_found_at_once() {
    let playback = start_playback().await;
    let published = recording(&["presentation", "video"]);
    let unpublished = Recording { published: false, ..published.clone() };
    let deleted = Recording { state: Some("deleted".to_owned()), ..published.clone() };
    for recording in [unpublished, deleted] {
        playback.record_recording(&published).await;
        assert_eq!(playback.get(&file_target("video/video-0.m4v")).await.status, 200);
        playback.record_recording(&recording).await;
        for target in
            [file_target("video/video-0.m4v"), file_target("video/"), file_target("presentation/")]
        {
            assert_not_found(&playback.get(&target).await);
        }
        assert_not_found(&playback.get(&format!("/recording/{RECORD_ID}/video")).await);
        let head = playback.send("HEAD", &file_target("video/video-0.m4v"), &[]).await;
        assert_eq!(head.status, 404);
    }
}

#[tokio::test]
async fn playback_paths_are_unsupported_without_recordings() {
    for (name, value) in [("RECORDING_DISABLED", "true"), ("DB_DISABLED", "true")] {
        let playback = TestPlayback::new(&[(name, value)]).await;
        playback.write_file("video/video-0.m4v", b"x");
        for target in [
            file_target("video/video-0.m4v"),
            format!("/recording/{RECORD_ID}/video"),
            "/playback/video/x".to_owned(),
        ] {
            let response = playback.get(&target).await;
            assert_eq!(response.xml_field("messageKey"), "unsupportedRequest", "{name} {target}");
        }
    }
}

#[tokio::test]
async fn a_large_file_is_streamed_and_dropped_when_its_client_disconnects() {
    let playback = start_playback().await;
    let size = 300 << 20;
    let path = playback.folder().join("published/video").join(RECORD_ID).join("large.webm");
    std::fs::File::create(path).unwrap().set_len(size).unwrap();
    let before = playback.product.memory_kib("VmHWM").unwrap();
    for _ in 0..4 {
        let mut connection = ClientConnection::open(playback.product.port()).await.unwrap();
        let mut request = new_request("GET", &file_target("video/large.webm"));
        request.headers.push(("Range".to_owned(), "bytes=5-".to_owned()));
        let head = testkit::conformance::http::encode_request(&request);
        connection.send(&head).await.unwrap();
        // Disconnects without reading.
        drop(connection);
    }
    let whole = playback.get(&file_target("video/large.webm")).await;
    assert_eq!(u64::try_from(whole.body.len()).unwrap(), size);
    let grown = playback.product.memory_kib("VmHWM").unwrap() - before;
    assert!(grown < 32 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn x_accel_redirect_names_the_file() {
    let files = [("podcast/audio.ogg", "sound")];
    let playback = TestPlayback::with_formats(
        &[("PLAYBACK_X_ACCEL", "true")],
        recording(&["podcast", "video"]),
        &files,
    )
    .await;
    for (path, content_type, attachment) in [
        ("podcast/audio.ogg", "audio/ogg", Some("attachment")),
        ("video/a%20b.webm?x=1&y=2", "video/webm", None),
        ("video/", "text/html", None),
    ] {
        let response = playback.get(&file_target(path)).await;
        let file = format!("/static-resource{}", file_target(path));
        assert_eq!(
            (response.status, response.header("x-accel-redirect")),
            (200, Some(file.as_str()))
        );
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.header("content-disposition"), attachment);
        assert_eq!(response.text(), "");
    }
    assert_not_found(&playback.get(&file_target("video/../../secret")).await);
    let normalized = playback.get(&format!("//video//{RECORD_ID}//b%2dc.webm")).await;
    let file = format!("/static-resource{}", file_target("video/b-c.webm"));
    assert_eq!(normalized.header("x-accel-redirect"), Some(file.as_str()));
}
