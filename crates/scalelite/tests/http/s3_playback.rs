//! Playback of recordings that are stored in an S3 bucket.

use domain::recording::Recording;
use testkit::private::S3;

use crate::test_playback::{RECORD_ID, TestPlayback, assert_not_found, file_target, recording};

async fn start_playback(server: &S3) -> TestPlayback {
    let bucket = server.create_bucket().await.unwrap();
    let video: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for (path, content) in [("video-0.m4v", &video[..]), ("index.html", b"page"), ("a b.txt", b"x")]
    {
        let path = path.replace(' ', "%20");
        server
            .put_object(&bucket, &format!("published/video/{RECORD_ID}/{path}"), content)
            .await
            .unwrap();
    }
    let url = server.url();
    let settings = [
        ("S3_RECORDING", "true"),
        ("S3_BUCKET_NAME", bucket.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    TestPlayback::with_formats(&settings, recording(&["video"]), &[]).await
}

#[tokio::test]
async fn a_video_in_a_bucket_is_served_in_ranges() {
    let server = S3::start().await.unwrap();
    let playback = start_playback(&server).await;
    let video = playback.get(&file_target("video/video-0.m4v")).await;
    assert_eq!((video.status, video.body.len()), (200, 2_000_000));
    assert_eq!(video.header("content-type"), Some("video/mp4"));
    let part = [("Range", "bytes=1000000-1000009")];
    let part = playback.send("GET", &file_target("video/video-0.m4v"), &part).await;
    assert_eq!((part.status, &part.body[..]), (206, &video.body[1_000_000..1_000_010]));
    assert_eq!(part.header("content-range"), Some("bytes 1000000-1000009/2000000"));
    let tag = [("If-None-Match", video.header("etag").unwrap())];
    assert_eq!(playback.send("GET", &file_target("video/video-0.m4v"), &tag).await.status, 304);
    assert_eq!(playback.get(&file_target("video/")).await.text(), "page");
    assert_eq!(playback.get(&file_target("video/a%20b.txt")).await.text(), "x");
    assert_not_found(&playback.get(&file_target("video/none")).await);
    playback.record_recording(&Recording { published: false, ..recording(&["video"]) }).await;
    assert_not_found(&playback.get(&file_target("video/video-0.m4v")).await);
}

#[tokio::test]
async fn an_unreachable_bucket_is_reported() {
    let server = S3::start().await.unwrap();
    let playback = start_playback(&server).await;
    drop(server);
    let response = playback.get(&file_target("video/video-0.m4v")).await;
    assert_eq!((response.status, response.header("retry-after")), (503, Some("10")));
    let log = playback.product.log();
    assert!(!log.contains("Signature") && !log.contains("X-Amz"), "{log}");
}
