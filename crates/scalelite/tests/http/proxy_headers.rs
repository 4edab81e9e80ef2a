//! What proxies say of their clients: believed from TRUSTED_PROXIES and from nobody else.

use testkit::deployment::TestDeployment;
use testkit::product::{ClientConnection, ClientResponse, new_request, signed_target, wait_until};
use tokio::net::TcpStream;

use crate::tls_tools::connect_from;
use crate::tools::{create, send, start_deployment_with};

/// The address of the proxy; others are strangers.
const PROXY: &str = "127.0.0.5";
const STRANGER: &str = "127.0.0.6";

async fn start() -> TestDeployment {
    start_deployment_with(1, &[("TRUSTED_PROXIES", PROXY), ("URL_HOST", "balancer.test")]).await
}

async fn connect(deployment: &TestDeployment, source: &str) -> ClientConnection<TcpStream> {
    let stream = connect_from(source, deployment.product.port()).await.unwrap();
    ClientConnection::from_stream(stream)
}

/// Asks for the meetings, after these first bytes, and with these headers.
async fn ask(
    deployment: &TestDeployment,
    source: &str,
    first: &[u8],
    headers: &[(&str, &str)],
) -> anyhow::Result<ClientResponse> {
    let mut connection = connect(deployment, source).await;
    connection.send(first).await?;
    let mut request = new_request("GET", &signed_target("getMeetings", ""));
    request.headers.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    connection.send_request(&request).await
}

/// The clients of all logged calls for meetings so far.
fn logged_clients(deployment: &TestDeployment) -> Vec<String> {
    let log = deployment.product.log();
    let lines = log.lines().filter(|line| line.contains("getMeetings"));
    let client = |line: &str| {
        let after = line.split_once("client=").unwrap().1;
        after.split_whitespace().next().unwrap().to_owned()
    };
    lines.map(client).collect()
}

#[tokio::test]
async fn the_log_names_the_client_that_a_trusted_proxy_names() {
    let deployment = start().await;
    let told = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Host", "balancer.test")];
    let v2 = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(),
        &[192, 0, 2, 3, 10, 0, 0, 1, 1, 2, 0, 80],
    ];
    for (source, first, headers) in [
        (STRANGER, &b""[..], &told[..]),
        (PROXY, b"", &told),
        (PROXY, b"", &[("Forwarded", "for=\"[2001:db8::7]:4711\";proto=https")]),
        (PROXY, b"PROXY TCP4 192.0.2.2 10.0.0.1 4711 80\r\n", &told),
        (PROXY, &v2.concat(), &[]),
        (PROXY, b"PROXY UNKNOWN\r\n", &[]),
    ] {
        let response = ask(&deployment, source, first, headers).await.unwrap();
        assert_eq!(response.status, 200, "{source} {}", response.text());
    }
    let expected = [STRANGER, "192.0.2.1", "2001:db8::7", "192.0.2.2", "192.0.2.3", PROXY];
    wait_until("logged", async || logged_clients(&deployment) == expected).await.unwrap();
    // Each of these gets its sentence, once.
    for _ in 0..2 {
        let refused =
            ask(&deployment, STRANGER, b"PROXY TCP4 192.0.2.2 10.0.0.1 4711 80\r\n", &[]).await;
        assert!(refused.is_ok_and(|response| response.status == 400));
        assert!(ask(&deployment, PROXY, b"PROXY TCP4 nonsense\r\n", &[]).await.is_err());
        let told = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.8")];
        assert_eq!(ask(&deployment, PROXY, b"", &told).await.unwrap().status, 200);
    }
    wait_until("logged", async || logged_clients(&deployment).len() == expected.len() + 2)
        .await
        .unwrap();
    let log = deployment.product.log();
    for (line, times) in [
        ("PROXY protocol from an unknown address", 1),
        ("header of the PROXY protocol cannot be read", 2),
        ("headers of a proxy contradict each other", 1),
        ("headers of an unknown proxy", 1),
    ] {
        assert_eq!(log.matches(line).count(), times, "{line}: {log}");
    }
}

#[tokio::test]
async fn hosts_and_schemes_are_believed_of_trusted_proxies() {
    let deployment =
        start_deployment_with(0, &[("TRUSTED_PROXIES", PROXY), ("PLAYBACK_HOST", "play.test")])
            .await;
    let told = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "play.test")];
    let film = "/video/x-1/film.m4v";
    for (source, status) in [(PROXY, 404), (STRANGER, 307)] {
        let mut request = new_request("GET", film);
        request.headers.extend(told.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let response = connect(&deployment, source).await.send_request(&request).await.unwrap();
        assert_eq!(response.status, status, "{source} {}", response.text());
        // A stranger's word for HTTPS counts only without TRUSTED_PROXIES.
        if status == 307 {
            let moved = format!("http://play.test{film}");
            assert_eq!(response.header("location"), Some(moved.as_str()));
        }
    }
}

#[tokio::test]
async fn a_foreign_host_is_named_in_the_answer_and_in_the_log() {
    let deployment = start_deployment_with(0, &[("URL_HOST", "balancer.test")]).await;
    for (host, shown) in
        [("10.1.2.3:3000", "10.1.2.3"), ("<script>", "(not a host name)"), ("", "(none)")]
    {
        let mut request = new_request("GET", "/bigbluebutton/api");
        request.headers = vec![("Host".to_owned(), host.to_owned())];
        let response = deployment.product.send(&request).await.unwrap();
        assert_eq!(response.status, 403);
        let text = response.text();
        assert!(
            text.contains(&format!("The host name {shown} is not served here (URL_HOST).")),
            "{text}"
        );
        let line = format!("foreign host {shown}");
        wait_until(&line, async || deployment.product.log().contains(&line)).await.unwrap();
    }
}

#[tokio::test]
async fn one_client_behind_a_proxy_locks_out_no_other() {
    let settings = [
        ("TRUSTED_PROXIES", PROXY),
        ("MAX_CONNECTIONS_PER_ADDRESS", "2"),
        ("MAX_UNPROVEN_BYTES", "4194304"),
    ];
    let deployment = start_deployment_with(1, &settings).await;
    create(&deployment.product, "m1").await;
    // Many connections of the proxy wait for the forms of one client, whose share of the memory is used up.
    let form = format!("meetingID=x&name=X&welcome={}", "w".repeat(200_000));
    let head = |client: &str| {
        format!(
            "POST /bigbluebutton/api/create HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len() + 1
        )
    };
    let mut waiting = Vec::new();
    for client in ["192.0.2.1"; 8].iter().chain(&["192.0.2.2"]) {
        let mut connection = connect(&deployment, PROXY).await;
        connection.send(head(client).as_bytes()).await.unwrap();
        connection.send(form.as_bytes()).await.unwrap();
        waiting.push(connection);
    }
    let log = || deployment.product.log();
    let are_refused = async || log().matches("client=192.0.2.1").count() >= 7;
    wait_until("refused", are_refused).await.unwrap();
    // The last client's form is still read: its last byte completes it.
    let mut last = waiting.pop().unwrap();
    last.send(b"w").await.unwrap();
    let answer = last.read_response("POST").await.unwrap();
    assert_eq!(answer.xml_field("messageKey"), "checksumError", "{}", answer.text());
    for _ in 0..20 {
        assert!(ask(&deployment, PROXY, b"", &[("X-Forwarded-For", "192.0.2.9")]).await.is_ok());
    }
}

#[tokio::test]
async fn an_administrator_is_told_of_a_proxy_that_is_not_named() {
    let deployment = start_deployment_with(0, &[]).await;
    let headers = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https")];
    for _ in 0..3 {
        let response =
            send(&deployment.product, "GET", &signed_target("getMeetings", ""), &headers, None)
                .await;
        assert_eq!(response.status, 200);
    }
    wait_until("logged", async || logged_clients(&deployment) == ["127.0.0.1"; 3]).await.unwrap();
    let log = deployment.product.log();
    assert_eq!(log.matches("TRUSTED_PROXIES must name its address").count(), 1, "{log}");
}
