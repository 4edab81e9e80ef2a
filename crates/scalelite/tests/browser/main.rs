//! Playback in a browser: a page that does what BBB's player does plays every format, from
//! directories and a bucket, protected and not, and loads from another host what that player loads.

#[cfg(test)]
mod chromium;
#[cfg(test)]
mod console;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod other_origin;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use testkit::private::S3;
    use testkit::product::{Product, Setup, wait_until};
    use testkit::samples::{FORMATS, SampleRecording, recording_dir_settings};

    use super::chromium::Chromium;
    use super::other_origin::{OtherOrigin, start_proxy};

    const PLAYER: &str = include_str!("player.html");
    /// The balancer's name in the browser.
    const HOST: &str = "balancer.test";
    /// How long a page may take to report. It gives up a step after 20 s.
    const REPORT_DEADLINE: Duration = Duration::from_secs(200);

    fn setup() -> Setup {
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        for (name, folder) in recording_dir_settings(setup.folder()) {
            std::fs::create_dir_all(&folder).unwrap();
            setup = setup.with_setting(name, &folder.display().to_string());
        }
        let player = setup.folder().join("player");
        std::fs::create_dir_all(&player).unwrap();
        std::fs::write(player.join("index.html"), PLAYER).unwrap();
        setup
            .with_setting("PLAYBACK_PLAYER_DIR", &player.display().to_string())
            .with_setting("RECORDING_IMPORT_POLL_INTERVAL", "0.1")
    }

    async fn with_bucket(mut setup: Setup) -> (Setup, S3) {
        let server = S3::shared().await.unwrap();
        let bucket = server.create_bucket().await.unwrap();
        for (name, value) in [
            ("S3_RECORDING", "true"),
            ("S3_BUCKET_NAME", bucket.as_str()),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", server.url().as_str()),
        ] {
            setup = setup.with_setting(name, value);
        }
        (setup, server)
    }

    /// Starts a balancer with a recording of all formats.
    async fn start_with_recording(setup: &Setup, sample: &SampleRecording) -> Product {
        let product = setup.start().await.unwrap();
        let spool = setup.folder().join("spool");
        let archive = sample.archive(&FORMATS);
        std::fs::write(spool.join(".incomplete"), archive).unwrap();
        let name = format!("{}.tar", sample.record_id);
        std::fs::rename(spool.join(".incomplete"), spool.join(name)).unwrap();
        let is_listed = async || {
            let listed = product.call("getRecordings", "").await.unwrap().text();
            listed.matches("<format>").count() == FORMATS.len()
        };
        wait_until("listed", is_listed).await.unwrap();
        product
    }

    /// The links of getRecordings to the formats, without their hosts. Of a protected recording
    /// they have one-time tokens.
    async fn playback_links(product: &Product, sample: &SampleRecording) -> Vec<String> {
        let listed = product.call("getRecordings", "").await.unwrap().text();
        assert!(listed.contains(&sample.record_id), "{listed}");
        let link = |format: &str| {
            let (_, rest) = listed.split_once(&format!("<type>{format}</type>")).unwrap();
            let (_, rest) = rest.split_once("<url>").unwrap();
            let (url, _) = rest.split_once("</url>").unwrap();
            let (_, path) = url.trim().split_once("://").unwrap();
            path[path.find('/').unwrap()..].replace("&amp;", "&")
        };
        FORMATS.iter().map(|format| link(format)).collect()
    }

    /// What the player does with a recording, and what comes of it.
    fn plan(sample: &SampleRecording, links: &[String]) -> Vec<(Value, String)> {
        let id = &sample.record_id;
        let mut steps = Vec::new();
        let mut add = |name: &str, kind: &str, url: String, expected: &str| {
            let step = json!({ "name": name, "kind": kind, "url": url });
            steps.push((step, expected.to_owned()));
        };
        // Links are followed first, as a click does it: of protected recordings they set cookies.
        for (format, link) in FORMATS.iter().zip(links) {
            let content_type = match *format {
                "podcast" | "notes" | "capture" => "200 ",
                _ => "200 text/html",
            };
            add(&format!("link {format}"), "open", link.clone(), content_type);
        }
        let presentation = |path: &str| format!("/presentation/{id}/{path}");
        add("webcams", "media", presentation("video/webcams.webm"), "played");
        add("sound", "media", presentation("audio/audio.ogg"), "played");
        add("shared screen", "media", presentation("deskshare/deskshare.webm"), "played");
        add("slide", "image", presentation("presentation/p1/slide-1.png"), "shown");
        add("captions", "captions", presentation("caption_en-US.vtt"), "1 cues");
        add("shapes", "open", presentation("shapes.svg"), "200 image/svg+xml");
        add("video", "page", format!("/video/{id}/"), "played");
        add("screenshare", "page", format!("/screenshare/{id}/"), "played");
        add("podcast", "media", format!("/podcast/{id}/audio.ogg"), "played");
        add("notes", "open", format!("/notes/{id}/notes.pdf"), "200 application/pdf");
        add("whiteboard", "whiteboard", String::new(), "Whiteboard");
        steps
    }

    /// Opens the player with these steps; returns its report and the errors on its console.
    async fn run_player(
        product: &Product,
        sample: &SampleRecording,
        steps: Vec<Value>,
        other: &mut OtherOrigin,
    ) -> (Value, Vec<String>) {
        let plan = Value::from(steps).to_string();
        let plan: String = form_urlencoded::byte_serialize(plan.as_bytes()).collect();
        let url =
            format!("https://{HOST}/playback/presentation/2.3/{}?plan={plan}", sample.record_id);
        let proxy = start_proxy(product.port()).await.unwrap();
        let hosts = [("unpkg.com", other.port), (HOST, proxy)];
        let browser = Chromium::open(&url, &hosts).unwrap();
        let report = tokio::time::timeout(REPORT_DEADLINE, other.reports.recv()).await;
        let report = report.ok().flatten();
        let console = browser.console();
        (report.unwrap_or_else(|| panic!("no report: {console:?} {}", product.log())), console)
    }

    async fn every_format_plays(setup: Setup) {
        let sample = SampleRecording::new(1);
        let product = start_with_recording(&setup, &sample).await;
        let mut other = OtherOrigin::start().await.unwrap();
        let links = playback_links(&product, &sample).await;
        let plan = plan(&sample, &links);
        let steps = plan.iter().map(|(step, _)| step.clone()).collect();
        let (report, console) = run_player(&product, &sample, steps, &mut other).await;
        for (step, expected) in &plan {
            let name = step["name"].as_str().unwrap();
            let result = report["results"][name].as_str().unwrap_or_default();
            assert!(result.starts_with(expected), "{name}: {result}: {report} {console:?}");
        }
        assert_eq!(report["violations"], json!([]), "{report}");
        // The font of the test is none, which is all that the browser may complain about.
        let ours = |line: &&String| {
            !line.contains("OTS parsing error")
                && !line.contains("Failed to decode downloaded font")
        };
        assert_eq!(console.iter().filter(ours).collect::<Vec<_>>(), [""; 0]);
        let paths = other.paths();
        assert!(paths.iter().any(|path| path == "/fonts/board.woff2"), "{paths:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_format_plays_from_directories() {
        every_format_plays(setup()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_format_plays_from_a_bucket() {
        let (setup, _server) = with_bucket(setup()).await;
        every_format_plays(setup).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_format_plays_protected_from_directories() {
        every_format_plays(setup().with_setting("PROTECTED_RECORDINGS_ENABLED", "true")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_format_plays_protected_from_a_bucket() {
        let (setup, _server) = with_bucket(setup()).await;
        every_format_plays(setup.with_setting("PROTECTED_RECORDINGS_ENABLED", "true")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tighter_policy_is_kept_by_the_browser() {
        let policy = "default-src 'self' data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      connect-src https://unpkg.com; font-src 'self'";
        let setup = setup().with_setting("PLAYBACK_CSP", policy);
        let sample = SampleRecording::new(1);
        let product = start_with_recording(&setup, &sample).await;
        let mut other = OtherOrigin::start().await.unwrap();
        let steps = vec![json!({ "name": "whiteboard", "kind": "whiteboard", "url": "" })];
        let (report, _) = run_player(&product, &sample, steps, &mut other).await;
        let violations = report["violations"].to_string();
        assert!(violations.contains("font-src https://unpkg.com/fonts/board.woff2"), "{report}");
        assert!(!other.paths().iter().any(|path| path.starts_with("/fonts")));
    }
}
