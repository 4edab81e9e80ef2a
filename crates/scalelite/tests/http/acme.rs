//! A certificate that the balancer gets by itself, from a real ACME server (pebble). `bin/test` installs it.

use std::path::PathBuf;
use std::process::Stdio;

use testkit::private::free_port;
use testkit::process;
use testkit::product::{Product, Setup, new_request, wait_until};
use testkit::stores::{StoreKind, TestStores};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::tls_tools::{HOST, TestAuthority, client_config, connect_from, connect_tls, start_tls};

/// An authority with names that lead to this machine. Dropping this ends it.
struct Pebble {
    folder: tempfile::TempDir,
    own: TestAuthority,
    ports: Ports,
    _names: Child,
    process: Child,
}

#[derive(Clone, Copy)]
struct Ports {
    authority: u16,
    management: u16,
    names: u16,
    /// Of the balancer.
    plain: u16,
    tls: u16,
}

impl Pebble {
    /// Starts an authority whose certificates live for so many seconds.
    async fn start(life_s: u32) -> Self {
        let (own, folder) = (TestAuthority::new(), tempfile::tempdir().unwrap());
        let port = || free_port().unwrap();
        let ports = Ports {
            authority: port(),
            management: port(),
            names: port(),
            plain: port(),
            tls: port(),
        };
        let (certificate, key) = own.write_files(folder.path(), &["localhost", "127.0.0.1"]);
        std::fs::write(folder.path().join("own.pem"), own.pem()).unwrap();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", ports.authority),
            "managementListenAddress": format!("127.0.0.1:{}", ports.management),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": ports.plain,
            "tlsPort": ports.tls,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": life_s,
        }});
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        names.args(["-dns01", &format!("127.0.0.1:{}", ports.names)]);
        names.args(["-management", &format!("127.0.0.1:{}", port())]);
        names.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let names = names.spawn().unwrap();
        let process = start_pebble(folder.path().join("config.json"), ports).await;
        Self { folder, own, ports, _names: names, process }
    }

    /// Ends the authority, and starts another one that knows nothing of the first.
    async fn stop(&mut self) {
        self.process.kill().await.unwrap();
    }

    async fn start_again(&mut self) {
        self.process = start_pebble(self.folder.path().join("config.json"), self.ports).await;
    }

    /// The certificate of the root under which it makes certificates.
    async fn root(&self) -> String {
        let config = self.own.client_config(&["http/1.1"]);
        let stream = connect_from("127.0.0.1", self.ports.management).await.unwrap();
        let stream = start_tls(config, stream, "localhost").await.unwrap();
        let mut connection = testkit::product::ClientConnection::from_stream(stream);
        let response = connection.send_request(&new_request("GET", "/roots/0")).await.unwrap();
        assert_eq!(response.status, 200);
        response.text()
    }

    fn setup(&self, challenge: &str) -> Setup {
        let own = self.folder.path().join("own.pem").display().to_string();
        let directory = format!("https://localhost:{}/dir", self.ports.authority);
        let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
        [
            ("BIND", format!("tcp://127.0.0.1:{}", self.ports.plain).as_str()),
            ("TLS_BIND", "127.0.0.1"),
            ("TLS_PORT", &self.ports.tls.to_string()),
            ("URL_HOST", HOST),
            ("ACME", "on"),
            ("ACME_CONTACT", "admin@example.org"),
            ("ACME_DIRECTORY", &directory),
            ("ACME_CA_FILE", &own),
            ("ACME_CHALLENGE", challenge),
        ]
        .into_iter()
        .fold(setup, |setup, (name, value)| setup.with_setting(name, value))
    }

    /// Returns the certificate that a client gets from the balancer, if one under this root.
    async fn certificate(&self, root: &str) -> Option<Vec<u8>> {
        let stream = connect_from("127.0.0.1", self.ports.tls).await.ok()?;
        let stream = start_tls(client_config(root, &[]), stream, HOST).await.ok()?;
        Some(stream.get_ref().1.peer_certificates()?.first()?.to_vec())
    }

    async fn wait_for_other_certificate(&self, root: &str, former: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        wait_until("another certificate", async || {
            found = self.certificate(root).await.unwrap_or_default();
            !found.is_empty() && found != former
        })
        .await
        .unwrap();
        found
    }
}

async fn start_pebble(config: PathBuf, ports: Ports) -> Child {
    let mut command = Command::new("pebble");
    command.args(["-config", &config.display().to_string()]);
    command.args(["-dnsserver", &format!("127.0.0.1:{}", ports.names)]);
    // It would wait for some seconds before it checks a host.
    command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "5");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let process = command.spawn().unwrap();
    for port in [ports.authority, ports.management] {
        wait_until("listening", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok())
            .await
            .unwrap();
    }
    process
}

async fn assert_served(pebble: &Pebble, root: &str) {
    let config = client_config(root, &["http/1.1"]);
    let mut connection = connect_tls(config, "127.0.0.1", pebble.ports.tls).await.unwrap();
    let mut request = new_request("GET", "/health_check");
    request.headers = vec![("Host".to_owned(), HOST.to_owned())];
    assert_eq!(connection.send_request(&request).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_got_renewed_and_kept() {
    let mut pebble = Pebble::start(12).await;
    let root = pebble.root().await;
    let mut product: Product = pebble.setup("tls-alpn-01").start().await.unwrap();
    let first = pebble.wait_for_other_certificate(&root, &[]).await;
    assert_served(&pebble, &root).await;
    let log = product.log();
    assert!(log.contains("certificate ordered") && !log.contains("BEGIN"), "{log}");
    // Renewed when two thirds of its life are over. Clients ask all the while.
    let second = pebble.wait_for_other_certificate(&root, &first).await;
    assert_served(&pebble, &root).await;
    // A restart finds it in the store.
    product.terminate().await.unwrap();
    product.wait_for_exit().await.unwrap();
    product = product.setup().start().await.unwrap();
    wait_until("served", async || pebble.certificate(&root).await.is_some()).await.unwrap();
    // The authority is away for a while, and has forgotten the account when it is back.
    pebble.stop().await;
    wait_until("failed", async || product.log().contains("certificate not got")).await.unwrap();
    assert!(pebble.certificate(&root).await.is_some_and(|certificate| !certificate.is_empty()));
    let doctor = process::run(product.setup(), &["doctor"]).await.unwrap().stdout;
    assert!(doctor.contains("it was not renewed: "), "{doctor}");
    pebble.start_again().await;
    let root = pebble.root().await;
    let third = pebble.wait_for_other_certificate(&root, &second).await;
    assert_ne!(third, first);
    assert_served(&pebble, &root).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_one_certificate_over_http() {
    let pebble = Pebble::start(3600).await;
    let root = pebble.root().await;
    let stores = TestStores::start(StoreKind::RedisAndPostgres).await.unwrap();
    let setup = pebble
        .setup("http-01")
        .with_stores(&stores)
        .with_setting("SECRET_KEY_BASE", "k".repeat(40).as_str());
    let first = setup.replica(1).start().await.unwrap();
    let other_tls = free_port().unwrap();
    let second = setup
        .replica(2)
        .with_setting("BIND", "tcp://127.0.0.1:0")
        .with_setting("TLS_PORT", &other_tls.to_string())
        .start()
        .await
        .unwrap();
    let certificate = pebble.wait_for_other_certificate(&root, &[]).await;
    wait_until("shared", async || {
        let Ok(stream) = connect_from("127.0.0.1", other_tls).await else { return false };
        let Ok(stream) = start_tls(client_config(&root, &[]), stream, HOST).await else {
            return false;
        };
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec() == certificate
    })
    .await
    .unwrap();
    let logs = format!("{}{}", first.log(), second.log());
    assert_eq!(logs.matches("certificate ordered").count(), 1, "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_be_checked_is_named() {
    let pebble = Pebble::start(3600).await;
    // The authority asks at the port of another.
    let setup = pebble.setup("http-01").with_setting("BIND", "tcp://127.0.0.1:0");
    let product = setup.start().await.unwrap();
    let log = || product.log();
    wait_until("failed", async || log().contains("the authority could not check balancer.test"))
        .await
        .unwrap();
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
}
