//! Links of getRecordings, protected recordings, and the player.

use domain::recording::Recording;
use testkit::product::ClientResponse;

use crate::test_playback::{
    RECORD_ID, TOKEN, TestPlayback, assert_not_found, file_target, recording,
};

const TLS_HEADER: (&str, &str) = ("X-Forwarded-Proto", "https");

fn playback_link(format: &str) -> String {
    format!("/recording/{RECORD_ID}/{format}")
}

async fn start_protected_playback() -> TestPlayback {
    let settings = [("PROTECTED_RECORDINGS_ENABLED", "true")];
    let recording = Recording { protected: true, ..recording(&["presentation", "video"]) };
    let files = [("video/video-0.m4v", "video"), ("presentation/metadata.xml", "<recording/>")];
    TestPlayback::with_formats(&settings, recording, &files).await
}

/// Follows a link with a new token; returns name and value of the cookie.
async fn fetch_cookie(playback: &TestPlayback, format: &str) -> String {
    playback.grant_token(TOKEN, format).await;
    let link = format!("{}?token={TOKEN}", playback_link(format));
    let response = playback.send("GET", &link, &[TLS_HEADER]).await;
    assert_eq!(response.status, 307, "{}", response.text());
    let cookie = response.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn location(response: &ClientResponse) -> (u16, Option<&str>) {
    (response.status, response.header("location"))
}

#[tokio::test]
async fn a_link_redirects_to_the_playback_page() {
    let recording = recording(&["presentation", "video"]);
    let playback = TestPlayback::with_formats(&[], recording.clone(), &[]).await;
    let response = playback.get(&playback_link("presentation")).await;
    let player = format!("http://balancer.test/playback/presentation/2.3/{RECORD_ID}");
    assert_eq!(location(&response), (307, Some(player.as_str())));
    assert_eq!(response.header("set-cookie"), None);
    let response = playback.send("GET", &playback_link("video"), &[TLS_HEADER]).await;
    let video = format!("https://balancer.test/video/{RECORD_ID}/");
    assert_eq!(location(&response), (307, Some(video.as_str())));
    assert_not_found(&playback.get(&playback_link("notes")).await);
    // A URL outside this host, which an archive may contain, is not followed.
    for url in [Some("//evil.test/"), Some("https://evil.test/"), Some("@evil.test/"), None] {
        let mut changed = recording.clone();
        changed.formats[0].url = url.map(str::to_owned);
        playback.record_recording(&changed).await;
        assert_not_found(&playback.get(&playback_link("presentation")).await);
    }
}

#[tokio::test]
async fn a_token_is_used_once_and_its_cookie_gives_access() {
    let playback = start_protected_playback().await;
    for path in [playback_link("video"), file_target("video/video-0.m4v"), file_target("video/")] {
        assert_not_found(&playback.get(&path).await);
    }
    assert_not_found(&playback.get(&format!("{}?token={TOKEN}", playback_link("video"))).await);
    let cookie = fetch_cookie(&playback, "video").await;
    let again = format!("{}?token={TOKEN}", playback_link("video"));
    assert_not_found(&playback.send("GET", &again, &[TLS_HEADER]).await);
    let response =
        playback.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await;
    assert_eq!((response.status, response.text().as_str()), (200, "video"));
    assert_eq!(response.header("cache-control"), Some("private, no-cache"));
    // The cookie is not valid for another format, under another name, or changed.
    assert_not_found(
        &playback
            .send("GET", &file_target("presentation/metadata.xml"), &[("Cookie", &cookie)])
            .await,
    );
    let renamed = cookie.replace("recording_video", "recording_presentation");
    assert_not_found(
        &playback
            .send("GET", &file_target("presentation/metadata.xml"), &[("Cookie", &renamed)])
            .await,
    );
    let (name, pass) = cookie.split_once('=').unwrap();
    let (head, signature) = pass.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("{name}={head}.{first}{}", &signature[1..]);
    let (body, unsigned) = (head.split('.').nth(1).unwrap(), "eyJhbGciOiJub25lIn0");
    for wrong in [changed, format!("{name}={unsigned}.{body}."), format!("{name}=")] {
        assert_not_found(
            &playback.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &wrong)]).await,
        );
    }
    // The cookie does not give access to an unpublished recording.
    let unpublished = Recording { published: false, protected: true, ..recording(&["video"]) };
    playback.record_recording(&unpublished).await;
    assert_not_found(
        &playback.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await,
    );
}

#[tokio::test]
async fn a_token_is_accepted_once_under_concurrency() {
    let playback = start_protected_playback().await;
    playback.grant_token(TOKEN, "video").await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    let requests = (0..16).map(|_| playback.get(&link));
    let responses = futures_util::future::join_all(requests).await;
    assert_eq!(responses.iter().filter(|response| response.status == 307).count(), 1);
    assert_eq!(responses.iter().filter(|response| response.status == 404).count(), 15);
}

#[tokio::test]
async fn a_token_is_valid_for_its_format_only() {
    let playback = start_protected_playback().await;
    playback.grant_token(TOKEN, "presentation").await;
    assert_not_found(&playback.get(&format!("{}?token={TOKEN}", playback_link("video"))).await);
}

#[tokio::test]
async fn link_previews_use_no_token() {
    let playback = start_protected_playback().await;
    playback.grant_token(TOKEN, "video").await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    let head = playback.send("HEAD", &link, &[TLS_HEADER]).await;
    assert_eq!((head.status, head.header("set-cookie")), (503, None));
    for header in [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ] {
        let prefetch = playback.send("GET", &link, &[TLS_HEADER, header]).await;
        assert_eq!((prefetch.status, prefetch.header("cache-control")), (503, Some("no-store")));
    }
    assert_eq!(playback.send("GET", &link, &[TLS_HEADER]).await.status, 307);
}

#[tokio::test]
async fn cookies_have_the_attributes_that_browsers_require() {
    let playback = start_protected_playback().await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    playback.grant_token(TOKEN, "video").await;
    let response = playback.send("GET", &link, &[TLS_HEADER]).await;
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("recording_video_{RECORD_ID}=eyJ")), "{cookie}");
    let attributes = format!("; HttpOnly; SameSite=None; Secure; Path=/video/{RECORD_ID}");
    assert!(cookie.ends_with(&attributes), "{cookie}");
    // No cookie over plain HTTP, where browsers would ignore it.
    playback.grant_token(TOKEN, "video").await;
    let plain = playback.get(&link).await;
    assert_eq!((plain.status, plain.header("set-cookie")), (307, None));
}

#[tokio::test]
async fn playback_cookies_survive_a_restart_but_not_a_new_secret() {
    let mut playback = start_protected_playback().await;
    let cookie = fetch_cookie(&playback, "video").await;
    playback.product.restart().await.unwrap();
    let response =
        playback.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await;
    assert_eq!(response.status, 200);
    // The cookie of another installation is not valid.
    let key = playback.folder().join("data/secret-key-base");
    assert!(std::fs::read_to_string(&key).unwrap().trim().len() > 31);
    std::fs::write(key, "another secret that is long enough").unwrap();
    playback.product.restart().await.unwrap();
    assert_not_found(
        &playback.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await,
    );
}

#[tokio::test]
async fn recordings_are_public_if_protection_is_disabled() {
    let recording = Recording { protected: true, ..recording(&["video"]) };
    let playback =
        TestPlayback::with_formats(&[], recording, &[("video/video-0.m4v", "video")]).await;
    assert_eq!(playback.get(&file_target("video/video-0.m4v")).await.text(), "video");
    assert_eq!(playback.get(&playback_link("video")).await.status, 307);
}

#[tokio::test]
async fn the_player_is_served_with_its_first_page_for_other_paths() {
    let player = tempfile::tempdir().unwrap();
    std::fs::create_dir(player.path().join("static")).unwrap();
    std::fs::write(player.path().join("index.html"), "<html>player</html>").unwrap();
    std::fs::write(player.path().join("static/main.js"), "run()").unwrap();
    let dir = player.path().to_str().unwrap();
    let playback = TestPlayback::new(&[("PLAYBACK_PLAYER_DIR", dir)]).await;
    let base = "/playback/presentation/2.3";
    for path in
        ["", "/", "/index.html", &format!("/{RECORD_ID}"), &format!("/{RECORD_ID}/"), "/images"]
    {
        let page = playback.get(&format!("{base}{path}")).await;
        assert_eq!(page.text(), "<html>player</html>", "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let script =
        playback.send("GET", &format!("{base}/static/main.js"), &[("Range", "bytes=0-2")]).await;
    assert_eq!((script.status, script.text().as_str()), (206, "run"));
    assert_not_found(&playback.get(&format!("{base}/static/none.js")).await);
    assert_not_found(&playback.get(&format!("{base}/../../../etc/passwd")).await);
}

#[tokio::test]
async fn older_links_redirect() {
    let playback = TestPlayback::with_formats(
        &[],
        recording(&["presentation"]),
        &[("presentation/metadata.xml", "x")],
    )
    .await;
    for (target, status, to) in [
        (
            format!("/playback/presentation/playback.html?meetingId={RECORD_ID}"),
            301,
            format!("/playback/presentation/0.81/playback.html?meetingId={RECORD_ID}"),
        ),
        (
            format!("/playback/presentation/2.0/playback.html?meetingId={RECORD_ID}"),
            301,
            format!("/playback/presentation/2.3/{RECORD_ID}?meetingId={RECORD_ID}"),
        ),
        (format!("/playback/video/{RECORD_ID}/"), 307, format!("/video/{RECORD_ID}/")),
        (format!("/recording/screenshare/{RECORD_ID}/"), 307, format!("/screenshare/{RECORD_ID}/")),
        // Without a player, the listing page takes its place.
        (
            format!("/playback/presentation/2.3/{RECORD_ID}"),
            307,
            format!("/presentation/{RECORD_ID}/"),
        ),
    ] {
        let response = playback.get(&target).await;
        assert_eq!(location(&response), (status, Some(to.as_str())), "{target}");
    }
}

#[tokio::test]
async fn the_not_found_page_can_be_customized() {
    let locales = tempfile::tempdir().unwrap();
    let texts =
        "nl:\n  errors:\n    recording_not_found:\n      title: Niet gevonden\n      info: Weg.\n";
    std::fs::write(locales.path().join("nl.yml"), texts).unwrap();
    let dir = locales.path().to_str().unwrap();
    let playback = TestPlayback::new(&[("LOCALES_DIR", dir), ("DEFAULT_LOCALE", "nl")]).await;
    let page = playback.get(&playback_link("video")).await;
    assert_eq!(page.status, 404);
    assert!(
        page.text().contains("<html lang=\"nl\">")
            && page.text().contains("<title>Niet gevonden</title>")
    );
}
