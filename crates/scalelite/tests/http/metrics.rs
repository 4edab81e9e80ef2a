//! Metrics: what has happened stands in the next scrape, for those who may ask, in the form that Prometheus reads.

use std::process::Stdio;

use serde_json::json;
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{
    ClientConnection, ClientRequest, Product, exchange, new_request, signed_target, wait_until,
};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{assert_failed, assert_success, create, start_deployment_with};

const BIND: (&str, &str) = ("METRICS_BIND", "tcp://127.0.0.1:0");
const TOKEN: (&str, &str) = ("METRICS_TOKEN", "a-token-of-the-tests");

/// The port of the socket for metrics.
async fn metrics_port(product: &Product) -> u16 {
    let find = || {
        let log = product.log();
        let line = log.lines().find(|line| line.contains("metrics listening"))?.to_owned();
        let (_, port) = line.split_once("http://127.0.0.1:")?;
        let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u16>().ok()
    };
    wait_until("metrics listening", async || find().is_some()).await.unwrap();
    find().unwrap()
}

fn request_with_token(target: &str, token: &str) -> ClientRequest {
    let mut request = new_request("GET", target);
    request.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
    request
}

/// Reads the metrics anew: a reading counts for a second.
async fn scrape(port: u16) -> String {
    let response = exchange(port, &new_request("GET", "/metrics")).await.unwrap();
    let content_type = response.header("content-type").unwrap_or_default().to_owned();
    assert_eq!(
        (response.status, content_type.starts_with("text/plain; version=0.0.4")),
        (200, true)
    );
    response.text()
}

/// The value of a series; `None` if there is no such series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap())
}

/// Waits until series have these values.
async fn wait_for_values(port: u16, expected: &[(&str, Option<f64>)]) -> String {
    let has_all = async || {
        let text = scrape(port).await;
        expected.iter().all(|(series, expected)| value(&text, series) == *expected)
    };
    let waited = wait_until(&format!("{expected:?}"), has_all).await;
    let text = scrape(port).await;
    waited.unwrap_or_else(|error| panic!("{error}\n{text}"));
    text
}

fn address(deployment: &TestDeployment, number: usize) -> String {
    format!("127.0.0.1:{}", deployment.pool.servers()[number].port())
}

async fn assert_promtool_accepts(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("promtool, of the package prometheus");
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{text}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_scrape_tells_what_has_happened() {
    let settings = [BIND, ("LOAD_MIN_USER_COUNT", "10")];
    let deployment = start_deployment_with(3, &settings).await;
    let product = &deployment.product;
    let port = metrics_port(product).await;
    for id in ["aa", "bb", "cc"] {
        create(product, id).await;
    }
    let server = deployment.servers_with("aa")[0].clone();
    server.set_users("aa", 7, 1);
    server.set_videos("aa", 2);
    let join = "meetingID=aa&fullName=A&role=VIEWER";
    assert_eq!(product.call("join", join).await.unwrap().status, 302);
    let unknown = "meetingID=x&fullName=A&role=VIEWER";
    assert_failed(&product.call("join", unknown).await.unwrap(), "notFound");
    let unsigned = product.get("/bigbluebutton/api/join?meetingID=aa").await.unwrap();
    assert_failed(&unsigned, "checksumError");
    product.poll_servers().await.unwrap();
    let home = format!("127.0.0.1:{}", server.port());
    let id = product.call_management("getServers", None).await.unwrap();
    let id = id.as_array().unwrap().iter().find(|one| one["url"] == server.url()).unwrap();
    let id = id["id"].as_str().unwrap().to_owned();
    let state = |health: &str| {
        format!("scalelite_server_state{{server=\"{home}\",state=\"enabled\",health=\"{health}\"}}")
    };
    let text = wait_for_values(
        port,
        &[
            (&format!("scalelite_server_users{{server=\"{home}\"}}"), Some(7.0)),
            (&format!("scalelite_server_videos{{server=\"{home}\"}}"), Some(2.0)),
            (&format!("scalelite_server_up{{server=\"{home}\"}}"), Some(1.0)),
            (&state("online"), Some(1.0)),
            ("scalelite_pool_servers{state=\"enabled\"}", Some(3.0)),
            ("scalelite_pool_servers_available", Some(3.0)),
            ("scalelite_pool_meetings", Some(3.0)),
            ("scalelite_pool_users", Some(7.0)),
            ("scalelite_requests_total{call=\"create\",result=\"ok\"}", Some(3.0)),
            ("scalelite_requests_total{call=\"join\",result=\"ok\"}", Some(1.0)),
            ("scalelite_requests_total{call=\"join\",result=\"notFound\"}", Some(1.0)),
            ("scalelite_requests_total{call=\"join\",result=\"checksumError\"}", Some(1.0)),
            ("scalelite_request_seconds_count{call=\"join\"}", Some(3.0)),
            ("scalelite_store_up{store=\"state\"}", Some(1.0)),
            ("scalelite_store_up{store=\"recordings\"}", Some(1.0)),
            ("scalelite_archives{stage=\"quarantined\"}", Some(0.0)),
            ("scalelite_create_failovers_total", Some(0.0)),
            ("scalelite_part_usable{part=\"spool\"}", Some(1.0)),
            ("scalelite_pool_free_places{ahead=\"0m\"}", None),
        ],
    )
    .await;
    let creates: f64 = (0..3)
        .map(|number| {
            let server = address(&deployment, number);
            let series = format!("scalelite_server_create_seconds_count{{server=\"{server}\"}}");
            value(&text, &series).unwrap()
        })
        .sum();
    assert_eq!(creates, 3.0);
    assert!(value(&text, "scalelite_directory_free_bytes{directory=\"spool\"}").unwrap() > 0.0);
    assert!(value(&text, "process_resident_memory_bytes").unwrap() > 1e6);
    assert!(value(&text, "process_cpu_seconds_total").unwrap() >= 0.0);
    assert!(value(&text, "scalelite_log_lines_total{level=\"error\"}").is_some());
    assert_promtool_accepts(&text).await;

    // One server dies: its creates go on to others, and its meetings are made anew for users who join.
    server.crash();
    for number in 0..12 {
        create(product, &format!("later-{number}")).await;
    }
    // The join asks the suspect server first, and polls it; so the process itself finds it offline.
    assert_eq!(product.call("join", join).await.unwrap().status, 302);
    let text = wait_for_values(
        port,
        &[
            (&format!("scalelite_server_up{{server=\"{home}\"}}"), Some(0.0)),
            (&state("online"), None),
            (&state("offline"), Some(1.0)),
            ("scalelite_pool_servers_available", Some(2.0)),
            ("scalelite_revivals_total{result=\"made\"}", Some(1.0)),
            ("scalelite_server_changes_total{to=\"offline\"}", Some(1.0)),
        ],
    )
    .await;
    assert!(value(&text, "scalelite_create_failovers_total").unwrap() >= 1.0, "{text}");
    let unreachable =
        format!("scalelite_server_failures_total{{server=\"{home}\",kind=\"unreachable\"}}");
    assert!(value(&text, &unreachable).unwrap() >= 1.0, "{text}");
    assert_promtool_accepts(&text).await;

    // With limits there are free places. What administrators write is escaped.
    let run = async |arguments: &[&str]| {
        let output = process::run(product.setup(), arguments).await.unwrap();
        assert_eq!(output.exit_code, 0, "{output:?}");
    };
    let servers = product.call_management("getServers", None).await.unwrap();
    for other in servers.as_array().unwrap() {
        run(&["servers", "limits", other["id"].as_str().unwrap(), "--max-users", "1000"]).await;
    }
    run(&["servers", "update", &id, "--tag", "a\"b\\c"]).await;
    let text = wait_for_values(port, &[("scalelite_pool_servers_without_limit", Some(0.0))]).await;
    let free = value(&text, "scalelite_pool_free_places{ahead=\"0m\"}").unwrap();
    assert!((1_500.0..2_000.0).contains(&free), "{text}");
    assert!(value(&text, "scalelite_pool_largest_meeting_users").unwrap() < 1_000.0);
    assert!(text.contains("tag=\"a\\\"b\\\\c\""), "{text}");
    assert_promtool_accepts(&text).await;

    // A server that is removed is gone from the metrics.
    run(&["servers", "remove", &id, "--yes"]).await;
    let gone = async || !scrape(port).await.contains(&format!("\"{home}\""));
    wait_until("no series left", gone).await.unwrap();
}

#[tokio::test]
async fn only_those_who_may_ask_are_told() {
    let deployment = start_deployment_with(0, &[BIND, TOKEN]).await;
    let product = &deployment.product;
    let own_port = metrics_port(product).await;
    for (port, target) in [(own_port, "/metrics"), (product.port(), "/scalelite/metrics")] {
        for request in [
            new_request("GET", target),
            request_with_token(target, "a-token-of-the-test"),
            request_with_token(target, ""),
        ] {
            let refused = exchange(port, &request).await.unwrap();
            let challenge = refused.header("www-authenticate").unwrap_or_default();
            assert_eq!((refused.status, challenge), (401, "Bearer"), "{target}");
        }
        let told = exchange(port, &request_with_token(target, TOKEN.1)).await.unwrap();
        assert!(told.status == 200 && told.text().contains("scalelite_build_info"), "{target}");
    }
    // A socket for metrics serves nothing else, and the API has no other path for them.
    for (port, target) in [
        (own_port, signed_target("getMeetings", "")),
        (own_port, "/scalelite/api/getServers".to_owned()),
        (product.port(), "/metrics".to_owned()),
    ] {
        let response = exchange(port, &request_with_token(&target, TOKEN.1)).await.unwrap();
        assert_failed(&response, "unsupportedRequest");
    }
    assert_eq!(exchange(own_port, &new_request("GET", "/livez")).await.unwrap().status, 200);
    assert!(!product.log().contains(TOKEN.1));

    // Without the settings there are none.
    let deployment = start_deployment_with(0, &[]).await;
    let response = deployment.product.get("/scalelite/metrics").await.unwrap();
    assert_failed(&response, "unsupportedRequest");
    assert!(!deployment.product.log().contains("metrics listening"));
}

#[tokio::test]
async fn tenants_have_labels_up_to_a_limit() {
    let deployment = start_deployment_with(1, &[BIND, MULTITENANCY]).await;
    let port = metrics_port(&deployment.product).await;
    for number in 0..103 {
        add_tenant(&deployment, &format!("t{number:03}"), "secret").await;
    }
    scrape(port).await;
    let call = async |tenant: &str, secret: &str, name: &str, query: &str| {
        let host = format!("{tenant}.balancer.test");
        call_as_tenant(&deployment, &host, secret, name, query).await
    };
    for tenant in ["t000", "t102"] {
        let created =
            call(tenant, "secret", "create", &format!("meetingID={tenant}&name=Meeting")).await;
        assert_success(&created);
        assert_failed(&call(tenant, "wrong", "getMeetings", "").await, "checksumError");
    }
    let text = wait_for_values(
        port,
        &[
            ("scalelite_tenant_requests_total{tenant=\"t000\",result=\"ok\"}", Some(1.0)),
            ("scalelite_tenant_requests_total{tenant=\"t000\",result=\"checksum\"}", Some(1.0)),
            ("scalelite_tenant_requests_total{tenant=\"(other)\",result=\"ok\"}", Some(1.0)),
            ("scalelite_tenant_requests_total{tenant=\"t102\",result=\"ok\"}", None),
            ("scalelite_tenant_meetings{tenant=\"t000\"}", Some(1.0)),
            ("scalelite_tenant_meetings{tenant=\"t001\"}", Some(0.0)),
            ("scalelite_tenant_meetings{tenant=\"(other)\"}", Some(1.0)),
        ],
    )
    .await;
    assert_promtool_accepts(&text).await;
}

#[tokio::test]
async fn five_hundred_servers_fit_into_a_mebibyte_and_slow_scrapers_hold_nobody_up() {
    let deployment = start_deployment_with(0, &[BIND]).await;
    let product = &deployment.product;
    let host = "bbb-001.video.a-university.example";
    let url = format!("https://{host}/bigbluebutton/api");
    let new = json!({ "server": { "url": url, "secret": "s" } });
    product.call_management("addServer", Some(new)).await.unwrap();
    let port = metrics_port(product).await;
    // They begin a request and never end it.
    let mut slow = Vec::new();
    for _ in 0..40 {
        if let Ok(mut connection) = ClientConnection::open(port).await {
            let _ = connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").await;
            slow.push(connection);
        }
    }
    let text = scrape(port).await;
    drop(slow);
    let is_of_server = |line: &&str| line.contains(host);
    let of_server: usize = text.lines().filter(is_of_server).map(|line| line.len() + 1).sum();
    assert!(of_server > 1_000, "{text}");
    // Load, forecast, limit and time of polls of a server that is online would add so much.
    let of_server = of_server + 4 * 95;
    let all = text.len() + 500 * of_server;
    assert!(all <= 1 << 20, "{all} bytes, {of_server} of each server");
}
