//! HTTPS by the balancer itself: certificates in files, their exchange, HTTP/2, and clients that stall.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testkit::deployment::TestDeployment;
use testkit::private::free_port;
use testkit::process;
use testkit::product::{ClientConnection, DEADLINE, Setup, new_request, signed_target, wait_until};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::test_playback::{RECORD_ID, TestPlayback, file_target, recording};
use crate::tls_tools::{HOST, TestAuthority, connect_from, connect_tls, start_tls};
use crate::tools::{assert_success, create, start_deployment_with};

const CLIENT: &str = "127.0.0.1";

/// A balancer with a certificate in files.
struct TlsDeployment {
    authority: TestAuthority,
    folder: tempfile::TempDir,
    deployment: TestDeployment,
    port: u16,
}

impl TlsDeployment {
    async fn start(settings: &[(&str, &str)]) -> Self {
        Self::with_servers(1, settings).await
    }

    async fn with_servers(servers: usize, settings: &[(&str, &str)]) -> Self {
        let (authority, folder) = (TestAuthority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = authority.write_files(folder.path(), &[HOST]);
        let (port, text) = (free_port().unwrap(), |path: PathBuf| path.display().to_string());
        let (certificate, key, port_text) = (text(certificate), text(key), port.to_string());
        let mut all = vec![
            ("TLS_CERT", certificate.as_str()),
            ("TLS_KEY", &key),
            ("TLS_BIND", "127.0.0.1"),
            ("TLS_PORT", &port_text),
            ("URL_HOST", HOST),
        ];
        all.extend(settings);
        let deployment = start_deployment_with(servers, &all).await;
        Self { authority, folder, deployment, port }
    }

    fn write(&self, (certificate, key): (String, String)) {
        // As most tools do it: each file appears whole.
        for (name, text) in [("cert.pem", certificate), ("key.pem", key)] {
            let new = self.folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.folder.path().join(name)).unwrap();
        }
    }

    async fn connect(&self) -> ClientConnection<tokio_rustls::client::TlsStream<TcpStream>> {
        let config = self.authority.client_config(&["http/1.1"]);
        connect_tls(config, CLIENT, self.port).await.unwrap()
    }

    /// The certificate that a new connection gets.
    async fn certificate(&self) -> Vec<u8> {
        let config = self.authority.client_config(&[]);
        let stream = connect_from(CLIENT, self.port).await.unwrap();
        let stream = start_tls(config, stream, HOST).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    async fn open_http2(&self) -> SendRequest<Full<Bytes>> {
        let config = self.authority.client_config(&["h2", "http/1.1"]);
        let stream = connect_from(CLIENT, self.port).await.unwrap();
        let stream = start_tls(config, stream, HOST).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

fn get(target: &str) -> testkit::product::ClientRequest {
    let mut request = new_request("GET", target);
    request.headers = vec![("Host".to_owned(), HOST.to_owned())];
    request
}

fn http2_request(method: &str, target: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("https://{HOST}{target}");
    Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_used_and_no_request_is_lost() {
    let tls = TlsDeployment::start(&[]).await;
    create(&tls.deployment.product, "m1").await;
    let (first, mut kept) = (tls.certificate().await, tls.connect().await);
    assert_eq!(kept.send_request(&get("/health_check")).await.unwrap().status, 200);
    let log = || tls.deployment.product.log();
    let (good, other) =
        (tls.authority.certify_with(&[HOST], |_| {}), tls.authority.certify_with(&[HOST], |_| {}));
    // What is worse than what is in use is not used.
    let expired = tls.authority.certify_with(&[HOST], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    });
    let foreign = tls.authority.certify_with(&["other.test"], |_| {});
    for (files, reason) in [
        ((good.0.clone(), other.1), "the key does not belong to the certificate"),
        (expired, "the certificate has expired on 2020-02-01"),
        (foreign, "the certificate is not for balancer.test, but for other.test"),
        (("nonsense".to_owned(), good.1.clone()), "there is no certificate in PEM format in it"),
    ] {
        tls.write(files);
        wait_until(reason, async || log().contains(reason)).await.unwrap();
        assert_eq!(tls.certificate().await, first);
    }
    assert_eq!(log().matches("new certificate not used").count(), 4, "{}", log());
    let output = process::run(tls.deployment.product.setup(), &["doctor"]).await.unwrap();
    assert!(output.stdout.contains("there is no certificate in PEM format"), "{}", output.stdout);
    // Clients ask all the time, on old connections and on new ones.
    tls.write(good);
    let mut asked = 0;
    wait_until("exchanged", async || {
        let target = signed_target("isMeetingRunning", "meetingID=m1");
        assert_success(&kept.send_request(&get(&target)).await.unwrap());
        assert_success(&tls.connect().await.send_request(&get(&target)).await.unwrap());
        asked += 1;
        tls.certificate().await != first
    })
    .await
    .unwrap();
    assert!(asked > 1, "{asked}");
    wait_until("logged", async || log().contains("certificate exchanged")).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_refused_at_the_start() {
    let (authority, folder) = (TestAuthority::new(), tempfile::tempdir().unwrap());
    let (certificate, key) = authority.write_files(folder.path(), &[HOST]);
    let other = folder.path().join("other.pem");
    std::fs::write(&other, authority.certify_with(&[HOST], |_| {}).1).unwrap();
    let missing = folder.path().join("missing.pem");
    for (certificate, key, problem) in [
        (
            Some(&certificate),
            Some(&other),
            "TLS_KEY: {key}: the key does not belong to the certificate",
        ),
        (
            Some(&certificate),
            Some(&certificate),
            "TLS_KEY: {key}: there is no private key in PEM format",
        ),
        (Some(&missing), Some(&key), "TLS_CERT: {certificate}: No such file or directory"),
        (Some(&certificate), None, "TLS_KEY: it must be set, TLS_CERT needs it"),
        (None, Some(&key), "TLS_CERT: it must be set, TLS_KEY needs it"),
    ] {
        let text = |path: Option<&PathBuf>| {
            path.map(|path| path.display().to_string()).unwrap_or_default()
        };
        let (certificate, key) = (text(certificate), text(key));
        let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        let setup = setup.with_setting("TLS_PORT", "0").with_setting("TLS_BIND", "127.0.0.1");
        let setup = setup.with_setting("TLS_CERT", &certificate).with_setting("TLS_KEY", &key);
        let output = process::run(&setup, &["serve"]).await.unwrap();
        let problem = problem.replace("{key}", &key).replace("{certificate}", &certificate);
        assert!(output.exit_code != 0, "{problem}");
        assert!(output.stderr.contains(&problem), "{problem}: {}", output.stderr);
    }
}

#[tokio::test]
async fn clients_are_told_to_use_https() {
    let settings =
        [("HTTPS_REDIRECT", "true"), ("HSTS_MAX_AGE", "3600"), ("TRUSTED_PROXIES", "127.0.0.5")];
    // Servers are added at the plain port, which redirects.
    let tls = TlsDeployment::with_servers(0, &settings).await;
    let product = &tls.deployment.product;
    let target = signed_target("getMeetings", "x=a%2Fb+c");
    let moved = product.send(&get(&target)).await.unwrap();
    let location = format!("https://{HOST}{target}");
    assert_eq!((moved.status, moved.header("location")), (301, Some(location.as_str())));
    let mut post = get(&target);
    (post.method, post.body) = ("POST".to_owned(), Some(Vec::new()));
    assert_eq!(product.send(&post).await.unwrap().status, 308);
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    let mut foreign = get(&target);
    foreign.headers[0].1 = "evil.test".to_owned();
    assert_eq!(product.send(&foreign).await.unwrap().status, 403);
    let mut told = get(&signed_target("getMeetings", ""));
    told.headers.push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
    assert_eq!(product.send(&told).await.unwrap().status, 301, "a stranger's word");
    let stream = connect_from("127.0.0.5", product.port()).await.unwrap();
    let told = ClientConnection::from_stream(stream).send_request(&told).await.unwrap();
    assert_eq!(
        (told.status, told.header("strict-transport-security")),
        (200, Some("max-age=3600"))
    );
    let secure = tls.connect().await.send_request(&get(&target)).await.unwrap();
    assert_success(&secure);
    assert_eq!(secure.header("strict-transport-security"), Some("max-age=3600"));
    // The certificate's port was asked by HTTP.
    let mut plain = ClientConnection::open(tls.port).await.unwrap();
    let refused = plain.send_request(&get("/")).await.unwrap();
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("This port speaks HTTPS"), "{}", refused.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_stall_hold_up_no_other() {
    let tls = TlsDeployment::start(&[("MAX_CONNECTIONS", "64")]).await;
    let mut stalled = Vec::new();
    for number in 0..120 {
        let source = format!("127.0.1.{}", number % 3);
        if let Ok(Ok(stream)) =
            timeout(Duration::from_secs(1), connect_from(&source, tls.port)).await
        {
            if number % 2 == 0 {
                // The beginning of a handshake.
                let _ = stream.try_write(&[22, 3, 1, 2, 0, 1]);
            }
            stalled.push(stream);
        }
    }
    for _ in 0..5 {
        let asking = async { tls.connect().await.send_request(&get("/health_check")).await };
        assert_eq!(timeout(DEADLINE, asking).await.unwrap().unwrap().status, 200);
    }
    let plain = tls.deployment.product.get("/health_check").await.unwrap();
    assert_eq!(plain.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_has_the_limits_of_every_request() {
    let tls = TlsDeployment::start(&[]).await;
    let product = &tls.deployment.product;
    let mut http2 = tls.open_http2().await;
    let response = http2
        .send_request(http2_request(
            "GET",
            &signed_target("create", "meetingID=m1&name=a%2Fb+c"),
            "",
        ))
        .await
        .unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("SUCCESS"), "{text:?}");
    // A slide in the body, and a body of somebody who has proven nothing.
    let slide = format!(
        "<modules><module name=\"presentation\"><document name=\"a\">{}</document></module></modules>",
        "QUJD".repeat(500_000)
    );
    let mut upload =
        http2_request("POST", &signed_target("create", "meetingID=m2&name=Slides"), slide);
    upload.headers_mut().insert(header::CONTENT_TYPE, "application/xml".parse().unwrap());
    assert_eq!(http2.send_request(upload).await.unwrap().status(), 200);
    let mut stranger = http2_request(
        "POST",
        "/bigbluebutton/api/create?meetingID=x&checksum=0",
        vec![b'x'; 1 << 20],
    );
    stranger.headers_mut().insert(header::CONTENT_TYPE, "application/xml".parse().unwrap());
    let refused = http2.send_request(stranger).await;
    assert!(refused.is_ok_and(|response| response.status() == 200));
    // Other requests of the connection go on, also foreign hosts and long heads, which are refused.
    let foreign =
        Request::get("https://evil.test/bigbluebutton/api").body(Full::default()).unwrap();
    assert_eq!(http2.send_request(foreign).await.unwrap().status(), 403);
    let long = signed_target("isMeetingRunning", &format!("meetingID=m1&x={}", "y".repeat(60_000)));
    assert_eq!(http2.send_request(http2_request("GET", &long, "")).await.unwrap().status(), 200);
    let mut requests = Vec::new();
    for _ in 0..100 {
        requests.push(http2.send_request(http2_request(
            "GET",
            &signed_target("getMeetings", ""),
            "",
        )));
    }
    for response in futures_util::future::join_all(requests).await {
        let body = response.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains("<meetingID>m1</meetingID>"));
    }
    assert_success(&product.call("isMeetingRunning", "meetingID=m1").await.unwrap_or_default());
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_played_by_http2_with_secure_links() {
    let tls = TlsDeployment::start(&[]).await;
    let playback = TestPlayback { product: tls.deployment.product };
    let film: Vec<u8> = (0..250_000_u32).flat_map(u32::to_be_bytes).collect();
    playback.record_recording(&recording(&["video"])).await;
    playback.write_file("video/video-0.m4v", &film);
    let tls = TlsDeployment {
        deployment: TestDeployment { product: playback.product, pool: tls.deployment.pool },
        ..tls
    };
    let mut http2 = tls.open_http2().await;
    let list = http2_request("GET", &signed_target("getRecordings", ""), "");
    let list =
        http2.send_request(list).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let link = format!("https://{HOST}/video/{RECORD_ID}/");
    assert!(String::from_utf8_lossy(&list).contains(&link), "{list:?}");
    let target = file_target("video/video-0.m4v");
    let mut ranges = Vec::new();
    for start in (0..20).map(|number| number * 50_000) {
        let mut request = http2_request("GET", &target, "");
        let range = format!("bytes={start}-{}", start + 49_999);
        request.headers_mut().insert(header::RANGE, range.parse().unwrap());
        ranges.push(http2.send_request(request));
    }
    let mut played = Vec::new();
    for response in futures_util::future::join_all(ranges).await {
        let response = response.unwrap();
        assert_eq!(response.status(), 206);
        played.extend(response.into_body().collect().await.unwrap().to_bytes());
    }
    assert!(played == film);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_given_up_at_once_end_the_connection() {
    let tls = TlsDeployment::start(&[]).await;
    let mut http2 = tls.open_http2().await;
    let target = signed_target("getMeetings", "");
    let mut failed = false;
    for _ in 0..20_000 {
        if http2.ready().await.is_err() {
            failed = true;
            break;
        }
        // Sent and reset without a look at the response.
        drop(http2.send_request(http2_request("GET", &target, "")));
        tokio::task::yield_now().await;
    }
    let mut next = tls.open_http2().await;
    let response = next.send_request(http2_request("GET", &target, "")).await.unwrap();
    assert_eq!(response.status(), 200, "{failed}");
    let memory = tls.deployment.product.memory_kib("VmHWM").unwrap();
    assert!(memory < 300 * 1024, "{memory} KiB");
}
