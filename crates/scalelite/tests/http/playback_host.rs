//! Recordings on a host of their own (PLAYBACK_HOST), since their pages carry scripts.

use domain::recording::Recording;
use testkit::product::signed_target;

use crate::test_playback::{RECORD_ID, TOKEN, TestPlayback, file_target, recording};
use crate::tools::assert_failed;

const SETTINGS: [(&str, &str); 3] = [
    ("URL_HOST", "balancer.test"),
    ("PLAYBACK_HOST", "play.test:8443"),
    ("PROTECTED_RECORDINGS_ENABLED", "true"),
];

async fn get(
    playback: &TestPlayback,
    host: &str,
    target: &str,
) -> testkit::product::ClientResponse {
    let mut request = testkit::product::new_request("GET", target);
    request.headers = vec![("Host".to_owned(), host.to_owned())];
    playback.product.send(&request).await.unwrap()
}

#[tokio::test]
async fn recordings_are_shown_on_their_own_host_only() {
    let files = [("video/index.html", "<script>"), ("video/video-0.m4v", "film")];
    let playback = TestPlayback::with_formats(&SETTINGS, recording(&["video"]), &files).await;
    let list = playback.get(&signed_target("getRecordings", "")).await.text();
    assert!(list.contains(&format!("http://play.test:8443/video/{RECORD_ID}/")), "{list}");
    let film = file_target("video/video-0.m4v");
    let shown = get(&playback, "play.test:8443", &film).await;
    assert_eq!((shown.status, shown.text().as_str()), (200, "film"));
    // Stored links name the host of the API.
    for target in
        [film.as_str(), &format!("/recording/{RECORD_ID}/video?token=x"), "//evil.test/video/x/"]
    {
        let moved = get(&playback, "balancer.test", target).await;
        let expected = format!("http://play.test:8443/{}", target.trim_start_matches('/'));
        match target.contains("evil") {
            // It is no path of playback.
            true => assert_failed(&moved, "unsupportedRequest"),
            false => {
                assert_eq!(
                    (moved.status, moved.header("location")),
                    (307, Some(expected.as_str()))
                );
            }
        }
    }
    // Pages of recordings have no API within their origin.
    for target in
        ["/bigbluebutton/api", "/scalelite/api/getServers", "/scalelite/recordings/upload/x-1"]
    {
        assert_failed(&get(&playback, "play.test", target).await, "unsupportedRequest");
    }
    assert_eq!(get(&playback, "other.test", &film).await.status, 403);
    assert_eq!(get(&playback, "play.test", "/health_check").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_tried_at_another_recording_is_not_used_up() {
    let recording = Recording { protected: true, ..recording(&["video", "notes"]) };
    let files = [("video/video-0.m4v", "film"), ("notes/notes.pdf", "notes")];
    let playback = TestPlayback::with_formats(&SETTINGS, recording, &files).await;
    playback.grant_token(TOKEN, "video").await;
    let link = |format: &str| format!("/recording/{RECORD_ID}/{format}?token={TOKEN}");
    assert_eq!(get(&playback, "play.test", &link("notes")).await.status, 404);
    assert_eq!(get(&playback, "play.test", &link("video")).await.status, 307);
    assert_eq!(get(&playback, "play.test", &link("video")).await.status, 404);
}
