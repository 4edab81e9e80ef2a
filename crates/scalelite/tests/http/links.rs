//! The links of getRecordings, protected recordings, and the player.

use domain::recording::Recording;
use testkit::product::ClientResponse;

use crate::playback_service::{
    RECORD_ID, TOKEN, TestPlayback, assert_not_found, file_target, recording,
};

const TLS_HEADER: (&str, &str) = ("X-Forwarded-Proto", "https");

fn playback_link(format: &str) -> String {
    format!("/recording/{RECORD_ID}/{format}")
}

async fn start_protected_playback() -> TestPlayback {
    let settings = [("PROTECTED_RECORDINGS_ENABLED", "true")];
    let recording = Recording { protected: true, ..recording(&["presentation", "video"]) };
    let files = [("video/video-0.m4v", "film"), ("presentation/metadata.xml", "<recording/>")];
    TestPlayback::with_formats(&settings, recording, &files).await
}

/// Follows a link with a new token; returns what the cookie says.
async fn fetch_cookie(theatre: &TestPlayback, format: &str) -> String {
    theatre.grant_token(TOKEN, format).await;
    let link = format!("{}?token={TOKEN}", playback_link(format));
    let answer = theatre.send("GET", &link, &[TLS_HEADER]).await;
    assert_eq!(answer.status, 307, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn location(answer: &ClientResponse) -> (u16, Option<&str>) {
    (answer.status, answer.header("location"))
}

#[tokio::test]
async fn a_link_redirects_to_the_playback_page() {
    let recording = recording(&["presentation", "video"]);
    let theatre = TestPlayback::with_formats(&[], recording.clone(), &[]).await;
    let answer = theatre.get(&playback_link("presentation")).await;
    let player = format!("http://balancer.test/playback/presentation/2.3/{RECORD_ID}");
    assert_eq!(location(&answer), (307, Some(player.as_str())));
    assert_eq!(answer.header("set-cookie"), None);
    let answer = theatre.send("GET", &playback_link("video"), &[TLS_HEADER]).await;
    let video = format!("https://balancer.test/video/{RECORD_ID}/");
    assert_eq!(location(&answer), (307, Some(video.as_str())));
    assert_not_found(&theatre.get(&playback_link("notes")).await);
    // Where an archive says that watching begins elsewhere, it does not begin.
    for strange in [Some("//evil.test/"), Some("https://evil.test/"), Some("@evil.test/"), None] {
        let mut strange_one = recording.clone();
        strange_one.formats[0].url = strange.map(str::to_owned);
        theatre.record_recording(&strange_one).await;
        assert_not_found(&theatre.get(&playback_link("presentation")).await);
    }
}

#[tokio::test]
async fn a_token_opens_once_and_its_cookie_until_it_ends() {
    let theatre = start_protected_playback().await;
    for path in [playback_link("video"), file_target("video/video-0.m4v"), file_target("video/")] {
        assert_not_found(&theatre.get(&path).await);
    }
    assert_not_found(&theatre.get(&format!("{}?token={TOKEN}", playback_link("video"))).await);
    let cookie = fetch_cookie(&theatre, "video").await;
    let again = format!("{}?token={TOKEN}", playback_link("video"));
    assert_not_found(&theatre.send("GET", &again, &[TLS_HEADER]).await);
    let watched =
        theatre.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await;
    assert_eq!((watched.status, watched.text().as_str()), (200, "film"));
    assert_eq!(watched.header("cache-control"), Some("private, no-cache"));
    // Neither another format, nor under another name, nor changed.
    assert_not_found(
        &theatre
            .send("GET", &file_target("presentation/metadata.xml"), &[("Cookie", &cookie)])
            .await,
    );
    let renamed = cookie.replace("recording_video", "recording_presentation");
    assert_not_found(
        &theatre
            .send("GET", &file_target("presentation/metadata.xml"), &[("Cookie", &renamed)])
            .await,
    );
    let (name, pass) = cookie.split_once('=').unwrap();
    let (head, signature) = pass.rsplit_once('.').unwrap();
    let changed = format!("{name}={head}.A{}", &signature[1..]);
    let (body, unsigned) = (head.split('.').nth(1).unwrap(), "eyJhbGciOiJub25lIn0");
    for wrong in [changed, format!("{name}={unsigned}.{body}."), format!("{name}=")] {
        assert_not_found(
            &theatre.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &wrong)]).await,
        );
    }
    // Unpublished is unpublished.
    let gone = Recording { published: false, protected: true, ..recording(&["video"]) };
    theatre.record_recording(&gone).await;
    assert_not_found(
        &theatre.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await,
    );
}

#[tokio::test]
async fn a_token_is_accepted_once_under_concurrency() {
    let theatre = start_protected_playback().await;
    theatre.grant_token(TOKEN, "video").await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    let asked = (0..16).map(|_| theatre.get(&link));
    let answers = futures_util::future::join_all(asked).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 307).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 404).count(), 15);
}

#[tokio::test]
async fn a_token_is_good_for_its_format_only() {
    let theatre = start_protected_playback().await;
    theatre.grant_token(TOKEN, "presentation").await;
    assert_not_found(&theatre.get(&format!("{}?token={TOKEN}", playback_link("video"))).await);
}

#[tokio::test]
async fn link_previews_use_no_token() {
    let theatre = start_protected_playback().await;
    theatre.grant_token(TOKEN, "video").await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    let head = theatre.send("HEAD", &link, &[TLS_HEADER]).await;
    assert_eq!((head.status, head.header("set-cookie")), (503, None));
    for header in [
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ] {
        let ahead = theatre.send("GET", &link, &[TLS_HEADER, header]).await;
        assert_eq!((ahead.status, ahead.header("cache-control")), (503, Some("no-store")));
    }
    assert_eq!(theatre.send("GET", &link, &[TLS_HEADER]).await.status, 307);
}

#[tokio::test]
async fn cookies_are_as_browsers_take_them() {
    let theatre = start_protected_playback().await;
    let link = format!("{}?token={TOKEN}", playback_link("video"));
    theatre.grant_token(TOKEN, "video").await;
    let answer = theatre.send("GET", &link, &[TLS_HEADER]).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("recording_video_{RECORD_ID}=eyJ")), "{cookie}");
    let attributes = format!("; HttpOnly; SameSite=None; Secure; Path=/video/{RECORD_ID}");
    assert!(cookie.ends_with(&attributes), "{cookie}");
    // None over plain HTTP, where it would not be kept.
    theatre.grant_token(TOKEN, "video").await;
    let plain = theatre.get(&link).await;
    assert_eq!((plain.status, plain.header("set-cookie")), (307, None));
}

#[tokio::test]
async fn playback_cookies_survive_a_restart_and_expire() {
    let mut theatre = start_protected_playback().await;
    let cookie = fetch_cookie(&theatre, "video").await;
    theatre.product.restart().await.unwrap();
    let watched =
        theatre.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await;
    assert_eq!(watched.status, 200);
    // A pass of another installation is none here.
    let key = theatre.folder().join("data/secret-key-base");
    assert!(std::fs::read_to_string(&key).unwrap().trim().len() > 31);
    std::fs::write(key, "another secret that is long enough").unwrap();
    theatre.product.restart().await.unwrap();
    assert_not_found(
        &theatre.send("GET", &file_target("video/video-0.m4v"), &[("Cookie", &cookie)]).await,
    );
}

#[tokio::test]
async fn protection_that_is_switched_off_protects_nothing() {
    let recording = Recording { protected: true, ..recording(&["video"]) };
    let theatre =
        TestPlayback::with_formats(&[], recording, &[("video/video-0.m4v", "film")]).await;
    assert_eq!(theatre.get(&file_target("video/video-0.m4v")).await.text(), "film");
    assert_eq!(theatre.get(&playback_link("video")).await.status, 307);
}

#[tokio::test]
async fn the_player_is_served_with_its_first_page_for_everything_else() {
    let player = tempfile::tempdir().unwrap();
    std::fs::create_dir(player.path().join("static")).unwrap();
    std::fs::write(player.path().join("index.html"), "<html>player</html>").unwrap();
    std::fs::write(player.path().join("static/main.js"), "run()").unwrap();
    let dir = player.path().to_str().unwrap();
    let theatre = TestPlayback::new(&[("PLAYBACK_PLAYER_DIR", dir)]).await;
    let base = "/playback/presentation/2.3";
    for path in
        ["", "/", "/index.html", &format!("/{RECORD_ID}"), &format!("/{RECORD_ID}/"), "/images"]
    {
        let page = theatre.get(&format!("{base}{path}")).await;
        assert_eq!(page.text(), "<html>player</html>", "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    }
    let script =
        theatre.send("GET", &format!("{base}/static/main.js"), &[("Range", "bytes=0-2")]).await;
    assert_eq!((script.status, script.text().as_str()), (206, "run"));
    assert_not_found(&theatre.get(&format!("{base}/static/none.js")).await);
    assert_not_found(&theatre.get(&format!("{base}/../../../etc/passwd")).await);
}

#[tokio::test]
async fn older_links_redirect() {
    let theatre = TestPlayback::with_formats(
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
        // Without a player, the plain page does.
        (
            format!("/playback/presentation/2.3/{RECORD_ID}"),
            307,
            format!("/presentation/{RECORD_ID}/"),
        ),
    ] {
        let answer = theatre.get(&target).await;
        assert_eq!(location(&answer), (status, Some(to.as_str())), "{target}");
    }
}

#[tokio::test]
async fn the_not_found_page_can_be_customized() {
    let locales = tempfile::tempdir().unwrap();
    let words =
        "nl:\n  errors:\n    recording_not_found:\n      title: Niet gevonden\n      info: Weg.\n";
    std::fs::write(locales.path().join("nl.yml"), words).unwrap();
    let dir = locales.path().to_str().unwrap();
    let theatre = TestPlayback::new(&[("LOCALES_DIR", dir), ("DEFAULT_LOCALE", "nl")]).await;
    let page = theatre.get(&playback_link("video")).await;
    assert_eq!(page.status, 404);
    assert!(
        page.text().contains("<html lang=\"nl\">")
            && page.text().contains("<title>Niet gevonden</title>")
    );
}
