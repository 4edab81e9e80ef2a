//! The files of recordings as browsers get them, and who does not get them.

use std::io::Read as _;

use domain::Timestamp;
use domain::recording::Recording;
use testkit::product::{ClientConnection, new_request};

use crate::playback_service::{RECORD_ID, TestPlayback, assert_not_found, file_target, recording};

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
    let theatre = start_playback().await;
    for (path, content_type, attachment) in [
        ("video/video-0.m4v", "video/mp4", None),
        ("video/index.html", "text/html; charset=utf-8", None),
        ("video/a%20b/%C3%BC.vtt", "text/vtt; charset=utf-8", None),
        ("podcast/audio.ogg", "audio/ogg", Some("attachment")),
        ("presentation/metadata.xml", "application/xml; charset=utf-8", None),
    ] {
        let answer = theatre.get(&file_target(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("content-disposition"), attachment);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert!(answer.header("content-security-policy").is_some());
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"')));
        assert!(answer.header("last-modified").is_some());
    }
    let head = theatre.send("HEAD", &file_target("video/video-0.m4v"), &[]).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    let post = theatre.send("POST", &file_target("video/video-0.m4v"), &[]).await;
    assert_eq!(post.xml_field("messageKey"), "unsupportedRequest");
}

#[tokio::test]
async fn parts_are_sent_as_players_ask() {
    let theatre = start_playback().await;
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
        let answer = theatre.send("GET", &video, &[("Range", range)]).await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert_eq!(answer.text(), body, "{range}");
    }
    let tag = theatre.get(&video).await.header("etag").unwrap().to_owned();
    for (before, status) in [(tag.as_str(), 206), ("\"other\"", 200)] {
        let headers = [("Range", "bytes=0-1"), ("If-Range", before)];
        assert_eq!(theatre.send("GET", &video, &headers).await.status, status, "{before}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let theatre = start_playback().await;
    let video = file_target("video/video-0.m4v");
    let first = theatre.get(&video).await;
    let [tag, date] = ["etag", "last-modified"].map(|name| first.header(name).unwrap());
    for header in [("If-None-Match", tag), ("If-Modified-Since", date)] {
        let again = theatre.send("GET", &video, &[header]).await;
        assert_eq!((again.status, again.text().as_str()), (304, ""), "{header:?}");
        assert_eq!(again.header("etag"), Some(tag));
    }
    theatre.write_file("video/video-0.m4v", b"changed");
    let again = theatre.send("GET", &video, &[("If-None-Match", tag)]).await;
    assert_eq!((again.status, again.text().as_str()), (200, "changed"));
}

#[tokio::test]
async fn long_text_is_compressed_for_those_who_take_it() {
    let theatre = start_playback().await;
    let text = "<svg/>".repeat(100_000);
    theatre.write_file("presentation/shapes.svg", text.as_bytes());
    let gzip = [("Accept-Encoding", "gzip, br")];
    let answer = theatre.send("GET", &file_target("presentation/shapes.svg"), &gzip).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("vary"), Some("accept-encoding"));
    assert!(answer.body.len() < text.len() / 10);
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
    let tag = answer.header("etag").unwrap();
    let again = [gzip[0], ("If-None-Match", tag)];
    let again = theatre.send("GET", &file_target("presentation/shapes.svg"), &again).await;
    assert_eq!(again.status, 304);
    let plain = theatre.get(&file_target("presentation/shapes.svg")).await;
    assert_eq!((plain.header("content-encoding"), plain.body.len()), (None, text.len()));
    assert_ne!(plain.header("etag"), Some(tag));
    // Short text, parts and films are sent as they are; what is packed already, as it is packed.
    theatre.write_file("presentation/captions.json.gz", b"packed");
    theatre.write_file("presentation/captions.json", b"[]");
    let packed = theatre.send("GET", &file_target("presentation/captions.json"), &gzip).await;
    assert_eq!(
        (packed.header("content-encoding"), packed.text().as_str()),
        (Some("gzip"), "packed")
    );
    for path in ["video/video-0.m4v", "presentation/metadata.xml"] {
        let answer = theatre.send("GET", &file_target(path), &gzip).await;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    let part = [gzip[0], ("Range", "bytes=0-4")];
    let part = theatre.send("GET", &file_target("presentation/shapes.svg"), &part).await;
    assert_eq!((part.status, part.text().as_str()), (206, "<svg/"));
}

#[tokio::test]
async fn directories_lead_to_their_pages() {
    let theatre = start_playback().await;
    let bare = theatre.get(&format!("/video/{RECORD_ID}?t=3")).await;
    let location = format!("/video/{RECORD_ID}/?t=3");
    assert_eq!((bare.status, bare.header("location")), (301, Some(location.as_str())));
    assert_eq!(theatre.get(&file_target("video/")).await.text(), "<html>video</html>");
    theatre.write_file("video/deep/index.html", b"deep");
    let deep = theatre.get(&file_target("video/deep")).await;
    assert_eq!(
        (deep.status, deep.header("location")),
        (301, Some(file_target("video/deep/").as_str()))
    );
    assert_eq!(theatre.get(&file_target("video/deep/")).await.text(), "deep");
    assert_not_found(&theatre.get(&file_target("video/a%20b/")).await);
    // A recording that brings no page gets one.
    let page = theatre.get(&file_target("presentation/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<a href=\"metadata.xml\">"), "{}", page.text());
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
}

#[tokio::test]
async fn hidden_files_are_not_found() {
    let theatre = start_playback().await;
    let outside = theatre.folder().join("secret");
    std::fs::write(&outside, "secret").unwrap();
    std::os::unix::fs::symlink(
        &outside,
        theatre.folder().join("published/video").join(RECORD_ID).join("link"),
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
        // The files are there, the recording does not have the format.
        "notes/notes.pdf",
    ] {
        assert_not_found(&theatre.get(&file_target(path)).await);
    }
    for target in ["/video/nobody/video-0.m4v", "/recording/nobody/video", "/recording/../video"] {
        assert_not_found(&theatre.get(target).await);
    }
    let unknown = theatre.get(&format!("/unknown/{RECORD_ID}/x")).await;
    assert_eq!(unknown.xml_field("messageKey"), "unsupportedRequest");
}

#[tokio::test]
async fn unpublished_and_deleted_ones_are_gone_at_once() {
    let theatre = start_playback().await;
    let published = recording(&["presentation", "video"]);
    let unpublished = Recording { published: false, ..published.clone() };
    let deleted = Recording { deleted_at: Some(Timestamp(1)), ..published.clone() };
    for recording in [unpublished, deleted] {
        theatre.record_recording(&published).await;
        assert_eq!(theatre.get(&file_target("video/video-0.m4v")).await.status, 200);
        theatre.record_recording(&recording).await;
        for target in
            [file_target("video/video-0.m4v"), file_target("video/"), file_target("presentation/")]
        {
            assert_not_found(&theatre.get(&target).await);
        }
        assert_not_found(&theatre.get(&format!("/recording/{RECORD_ID}/video")).await);
        let head = theatre.send("HEAD", &file_target("video/video-0.m4v"), &[]).await;
        assert_eq!(head.status, 404);
    }
}

#[tokio::test]
async fn nothing_is_watched_where_there_are_no_recordings() {
    for (name, value) in [("RECORDING_DISABLED", "true"), ("DB_DISABLED", "true")] {
        let theatre = TestPlayback::new(&[(name, value)]).await;
        theatre.write_file("video/video-0.m4v", b"x");
        for target in [
            file_target("video/video-0.m4v"),
            format!("/recording/{RECORD_ID}/video"),
            "/playback/video/x".to_owned(),
        ] {
            let answer = theatre.get(&target).await;
            assert_eq!(answer.xml_field("messageKey"), "unsupportedRequest", "{name} {target}");
        }
    }
}

#[tokio::test]
async fn a_large_file_is_streamed_and_dropped_when_its_reader_goes() {
    let theatre = start_playback().await;
    let size = 300 << 20;
    let path = theatre.folder().join("published/video").join(RECORD_ID).join("large.webm");
    std::fs::File::create(path).unwrap().set_len(size).unwrap();
    let before = theatre.product.memory_kib("VmHWM").unwrap();
    for _ in 0..4 {
        let mut connection = ClientConnection::open(theatre.product.port()).await.unwrap();
        let mut request = new_request("GET", &file_target("video/large.webm"));
        request.headers.push(("Range".to_owned(), "bytes=5-".to_owned()));
        let head = testkit::conformance::http::encode_request(&request);
        connection.send(&head).await.unwrap();
        // Goes without having read.
        drop(connection);
    }
    let whole = theatre.get(&file_target("video/large.webm")).await;
    assert_eq!(u64::try_from(whole.body.len()).unwrap(), size);
    let grown = theatre.product.memory_kib("VmHWM").unwrap() - before;
    assert!(grown < 32 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn a_web_server_in_front_is_told_which_file_to_send() {
    let files = [("podcast/audio.ogg", "sound")];
    let theatre = TestPlayback::with_formats(
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
        let answer = theatre.get(&file_target(path)).await;
        let file = format!("/static-resource{}", file_target(path));
        assert_eq!((answer.status, answer.header("x-accel-redirect")), (200, Some(file.as_str())));
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("content-disposition"), attachment);
        assert_eq!(answer.text(), "");
    }
    assert_not_found(&theatre.get(&file_target("video/../../secret")).await);
    let normalised = theatre.get(&format!("//video//{RECORD_ID}//b%2dc.webm")).await;
    let file = format!("/static-resource{}", file_target("video/b-c.webm"));
    assert_eq!(normalised.header("x-accel-redirect"), Some(file.as_str()));
}
