//! The examples in packaging/proxies: each proxy is started with its file in front of a balancer, and passes on what front-ends and browsers
//! send. Programs that are missing are installed by `bin/test`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bbb_sim::BbbPool;
use testkit::deployment::TestDeployment;
use testkit::private::free_port;
use testkit::product::{
    API_PATH, ClientConnection, ClientRequest, ClientResponse, new_request, signed_target,
    wait_until,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::test_playback::{RECORD_ID, TestPlayback, file_target, recording};
use crate::tls_tools::{HOST, TestAuthority, connect_from, connect_tls};
use crate::tools::{assert_success, start_deployment_with, take_requests};

/// The address from which the client of the tests connects to the proxy, which connects from another one.
const CLIENT: &str = "127.0.0.7";

/// A started proxy. Dropping this ends it.
struct Proxy {
    _process: Child,
    port: u16,
    plain_port: u16,
    authority: TestAuthority,
}

/// What a test writes into an example in place of the administrator's values.
struct Places {
    folder: PathBuf,
    port: u16,
    plain_port: u16,
    balancer: u16,
    certificate: PathBuf,
    key: PathBuf,
}

impl Places {
    /// Reads an example and replaces each text, which it must contain.
    fn fill_in(&self, example: &str, replacements: &[(&str, String)]) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/proxies");
        let mut text = std::fs::read_to_string(folder.join(example)).unwrap();
        for (from, to) in replacements {
            assert!(text.contains(from), "{example}: {from}");
            text = text.replace(from, to);
        }
        let balancer = format!("127.0.0.1:{}", self.balancer);
        text.replace("127.0.0.1:3000", &balancer).replace("lb.example.org", HOST)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// Starts a proxy by what `start` makes of the places, and waits until it listens.
async fn start_proxy(deployment: &TestPlayback, start: impl Fn(&Places) -> Command) -> Proxy {
    let authority = TestAuthority::new();
    let folder = deployment.folder().join("proxy");
    std::fs::create_dir(&folder).unwrap();
    let (certificate, key) = authority.write_files(&folder, &[HOST]);
    let (port, plain_port) = (free_port().unwrap(), free_port().unwrap());
    let balancer = deployment.product.port();
    let places = Places { folder, port, plain_port, balancer, certificate, key };
    let mut command = start(&places);
    let log = std::fs::File::create(places.folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
    let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    wait_until("listening", async || {
        let ended = process.try_wait().unwrap();
        let log = || std::fs::read_to_string(places.folder.join("log")).unwrap_or_default();
        assert!(ended.is_none(), "{}", log());
        TcpStream::connect(("127.0.0.1", port)).await.is_ok()
    })
    .await
    .unwrap();
    Proxy { _process: process, port, plain_port, authority }
}

fn nginx(places: &Places) -> Command {
    let example = places.fill_in(
        "nginx.conf",
        &[
            ("listen 80;", format!("listen 127.0.0.1:{};", places.plain_port)),
            ("listen 443 ssl", format!("listen 127.0.0.1:{} ssl", places.port)),
            (
                "/etc/letsencrypt/live/lb.example.org/fullchain.pem",
                places.certificate.display().to_string(),
            ),
            ("/etc/letsencrypt/live/lb.example.org/privkey.pem", places.key.display().to_string()),
        ],
    );
    places.write("scalelite.conf", &example);
    let folder = places.folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    let main = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}include {folder}/scalelite.conf;\n}}\n"
    );
    let mut command = Command::new("nginx");
    command.args(["-c", &places.write("nginx.conf", &main), "-e", "stderr"]);
    command
}

fn caddy(places: &Places) -> Command {
    let site = format!(
        "https://{HOST}:{} {{\n\tbind 127.0.0.1\n\ttls {} {}\n",
        places.port,
        places.certificate.display(),
        places.key.display()
    );
    let example = places.fill_in("Caddyfile", &[("lb.example.org {\n", site)]);
    let options = format!(
        "{{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port {}\n}}\n",
        places.plain_port
    );
    let mut command = Command::new("caddy");
    let file = places.write("Caddyfile", &format!("{options}{example}"));
    command.args(["run", "--adapter", "caddyfile", "--config", &file]);
    command.env("HOME", &places.folder);
    command
}

fn haproxy(places: &Places) -> Command {
    let both =
        [&places.certificate, &places.key].map(|path| std::fs::read_to_string(path).unwrap());
    let certificate = places.write("both.pem", &both.concat());
    let example = places.fill_in(
        "haproxy.cfg",
        &[
            ("bind :80\n", format!("bind 127.0.0.1:{}\n", places.plain_port)),
            ("bind :443", format!("bind 127.0.0.1:{}", places.port)),
            ("/etc/haproxy/lb.example.org.pem", certificate),
        ],
    );
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f", &places.write("haproxy.cfg", &example)]);
    command
}

fn apache(places: &Places) -> Command {
    let example = places.fill_in(
        "apache.conf",
        &[
            ("*:80", format!("127.0.0.1:{}", places.plain_port)),
            ("*:443", format!("127.0.0.1:{}", places.port)),
            (
                "/etc/letsencrypt/live/lb.example.org/fullchain.pem",
                places.certificate.display().to_string(),
            ),
            ("/etc/letsencrypt/live/lb.example.org/privkey.pem", places.key.display().to_string()),
        ],
    );
    places.write("scalelite.conf", &example);
    let folder = places.folder.display();
    let modules = [
        "mpm_event",
        "authn_core",
        "authz_core",
        "alias",
        "headers",
        "ssl",
        "socache_shmcb",
        "proxy",
        "proxy_http",
        "http2",
    ]
    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
    .concat();
    let main = format!(
        "ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog /dev/stderr\nDefaultRuntimeDir {folder}\n\
         {modules}User www-data\nGroup www-data\nListen 127.0.0.1:{}\nListen 127.0.0.1:{}\nInclude {folder}/scalelite.conf\n",
        places.port, places.plain_port
    );
    let mut command = Command::new("apache2");
    command.args(["-X", "-f", &places.write("apache2.conf", &main)]);
    command
}

/// Starts a balancer with a server and a recording, for a proxy on this machine.
async fn start_balancer() -> (BbbPool, TestPlayback) {
    let settings = [("TRUSTED_PROXIES", "127.0.0.1"), ("URL_HOST", HOST)];
    let TestDeployment { pool, product } = start_deployment_with(1, &settings).await;
    let playback = TestPlayback { product };
    playback.record_recording(&recording(&["video"])).await;
    playback.write_file("video/video-0.m4v", &film());
    (pool, playback)
}

fn film() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_be_bytes).collect()
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> ClientRequest {
    let mut request = new_request(method, target);
    request.headers = vec![("Host".to_owned(), HOST.to_owned())];
    request.headers.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    request
}

/// What a client sends that wants to be taken for another.
const FORGED: [(&str, &str); 5] = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Server", "evil.test"),
    ("Forwarded", "for=203.0.113.9;host=evil.test;proto=http"),
];

/// Plays what front-ends and browsers send.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut ClientConnection<S>,
    (pool, playback): (&BbbPool, &TestPlayback),
    scheme: &str,
    forged: &[(&str, &str)],
) {
    let server = &pool.servers()[0];
    let mut send = async |request: ClientRequest| -> ClientResponse {
        connection.send_request(&request).await.unwrap()
    };
    let welcome = "w%C3%A4".repeat(7_000);
    let create =
        signed_target("create", &format!("meetingID=m1&name=A%2Fb+c%20d&welcome={welcome}"));
    assert_success(&send(request("GET", &create, &[])).await);
    let long = "x%2Fy+%E4".repeat(6_500);
    let join = signed_target(
        "join",
        &format!("meetingID=m1&fullName=A&password=x&redirect=true&userdata-x={long}"),
    );
    let joined = send(request("GET", &join, &[])).await;
    assert_eq!(joined.status, 302, "{}", joined.text());
    assert!(joined.header("location").unwrap().contains(&long));

    take_requests(server, "create");
    let slide = format!(
        "<modules><module name=\"presentation\"><document name=\"a.pdf\">{}</document></module></modules>",
        "QUJD".repeat(600_000)
    );
    let mut upload = request(
        "POST",
        &signed_target("create", "meetingID=m2&name=Slides"),
        &[("Content-Type", "application/xml")],
    );
    upload.body = Some(slide.clone().into_bytes());
    assert_success(&send(upload).await);
    let uploaded = &take_requests(server, "create")[0];
    assert_eq!(uploaded.body, slide.as_bytes()[..uploaded.body.len()]);
    assert!(uploaded.body.len() >= 1 << 20);

    let film = film();
    let range = send(request(
        "GET",
        &file_target("video/video-0.m4v"),
        &[("Range", "bytes=1000000-1099999")],
    ))
    .await;
    assert_eq!((range.status, range.body.len()), (206, 100_000), "{}", range.text());
    assert!(range.body == film[1_000_000..1_100_000]);
    assert_eq!(range.header("content-range"), Some("bytes 1000000-1099999/1200000"));
    let etag = range.header("etag").unwrap().to_owned();
    let whole = send(request("GET", &file_target("video/video-0.m4v"), &[])).await;
    assert!(whole.status == 200 && whole.body == film);
    let unchanged = request("GET", &file_target("video/video-0.m4v"), &[("If-None-Match", &etag)]);
    assert_eq!(send(unchanged).await.status, 304);

    // Whoever asks, links lead to where the client is, and the log names the client.
    for headers in [&[][..], forged] {
        let list = send(request("GET", &signed_target("getRecordings", "recordID="), headers))
            .await
            .text();
        assert!(list.contains(&format!("{scheme}://{HOST}/video/{RECORD_ID}/")), "{list}");
        assert!(!list.contains("evil.test"), "{list}");
    }
    let is_logged = |line: &&str| line.contains("getRecordings");
    let log = || playback.product.log();
    wait_until("logged", async || log().lines().filter(is_logged).count() == 2).await.unwrap();
    let (log, client) = (log(), format!("client={CLIENT}"));
    assert!(log.lines().filter(is_logged).all(|line| line.contains(&client)), "{log}");
}

async fn check_proxy(start: impl Fn(&Places) -> Command, redirects: bool) {
    let (pool, playback) = start_balancer().await;
    let proxy = start_proxy(&playback, start).await;
    let config = proxy.authority.client_config(&["http/1.1"]);
    let mut connection = connect_tls(config.clone(), CLIENT, proxy.port).await.unwrap();
    play(&mut connection, (&pool, &playback), "https", &FORGED).await;
    let management = signed_target("getServers", "").replace(API_PATH, "/scalelite/api");
    let mut connection = connect_tls(config, CLIENT, proxy.port).await.unwrap();
    let refused = connection.send_request(&request("GET", &management, &[])).await.unwrap();
    assert_eq!(refused.status, 403);
    if redirects {
        let mut connection = ClientConnection::open(proxy.plain_port).await.unwrap();
        let moved = connection.send_request(&request("GET", "/a?b=%2F", &[])).await.unwrap();
        let https = format!("https://{HOST}/a?b=%2F");
        assert_eq!((moved.status, moved.header("location")), (301, Some(https.as_str())));
    }
}

#[tokio::test]
async fn nginx_passes_everything_on() {
    check_proxy(nginx, true).await;
}

#[tokio::test]
async fn caddy_passes_everything_on() {
    check_proxy(caddy, false).await;
}

#[tokio::test]
async fn haproxy_passes_everything_on() {
    check_proxy(haproxy, true).await;
}

#[tokio::test]
async fn apache_passes_everything_on() {
    check_proxy(apache, true).await;
}

#[tokio::test]
async fn haproxy_passes_connections_on_with_the_proxy_protocol() {
    let (pool, playback) = start_balancer().await;
    let proxy = start_proxy(&playback, |places| {
        let example = places.fill_in(
            "haproxy-tcp.cfg",
            &[
                ("bind :443\n", format!("bind 127.0.0.1:{}\n", places.port)),
                ("10.0.0.11:3443", format!("127.0.0.1:{}", places.balancer)),
            ],
        );
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f", &places.write("haproxy.cfg", &example)]);
        command
    })
    .await;
    let stream = connect_from(CLIENT, proxy.port).await.unwrap();
    let forged = [("X-Forwarded-For", "203.0.113.9")];
    play(&mut ClientConnection::from_stream(stream), (&pool, &playback), "http", &forged).await;
}
