//! Recordings that lie in a bucket: watched as those in directories are.

use domain::recording::Recording;
use testkit::private::S3;

use crate::theatre::{ID, Theatre, assert_nothing, at, recording};

async fn theatre(server: &S3) -> Theatre {
    let bucket = server.bucket().await.unwrap();
    let film: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for (path, content) in [("video-0.m4v", &film[..]), ("index.html", b"page"), ("a b.txt", b"x")]
    {
        let path = path.replace(' ', "%20");
        server.put(&bucket, &format!("published/video/{ID}/{path}"), content).await.unwrap();
    }
    let url = server.url();
    let settings = [
        ("S3_RECORDING", "true"),
        ("S3_BUCKET_NAME", bucket.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", url.as_str()),
    ];
    Theatre::with(&settings, recording(&["video"]), &[]).await
}

#[tokio::test]
async fn a_film_in_a_bucket_is_watched_in_parts() {
    let server = S3::start().await.unwrap();
    let theatre = theatre(&server).await;
    let film = theatre.get(&at("video/video-0.m4v")).await;
    assert_eq!((film.status, film.body.len()), (200, 2_000_000));
    assert_eq!(film.header("content-type"), Some("video/mp4"));
    let part = [("Range", "bytes=1000000-1000009")];
    let part = theatre.send("GET", &at("video/video-0.m4v"), &part).await;
    assert_eq!((part.status, &part.body[..]), (206, &film.body[1_000_000..1_000_010]));
    assert_eq!(part.header("content-range"), Some("bytes 1000000-1000009/2000000"));
    let tag = [("If-None-Match", film.header("etag").unwrap())];
    assert_eq!(theatre.send("GET", &at("video/video-0.m4v"), &tag).await.status, 304);
    assert_eq!(theatre.get(&at("video/")).await.text(), "page");
    assert_eq!(theatre.get(&at("video/a%20b.txt")).await.text(), "x");
    assert_nothing(&theatre.get(&at("video/none")).await);
    theatre.record(&Recording { published: false, ..recording(&["video"]) }).await;
    assert_nothing(&theatre.get(&at("video/video-0.m4v")).await);
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told() {
    let server = S3::start().await.unwrap();
    let theatre = theatre(&server).await;
    drop(server);
    let answer = theatre.get(&at("video/video-0.m4v")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    let log = theatre.product.log();
    assert!(!log.contains("Signature") && !log.contains("X-Amz"), "{log}");
}
