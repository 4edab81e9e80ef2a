//! Tests of the log: it tells transitions and not their repetitions, who changed what, and which request a line belongs to.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use serde_json::json;
use testkit::process;
use testkit::product::{SECRET, new_request, signed_target, wait_until};

use crate::tools::{create_query, is_success, start_deployment};

/// The lines that contain a text.
fn lines_with(log: &str, text: &str) -> Vec<String> {
    log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_dead_server_has_one_line_when_it_goes_and_one_when_it_comes_back() {
    let deployment = start_deployment(2, &[("POLL_INTERVAL", "1")]).await;
    let (product, servers) = (&deployment.product, deployment.pool.servers());
    let polls = || servers[0].call_counts().get("getMeetings").copied().unwrap_or_default();
    let wait_for_line = async |text: &str| {
        wait_until(text, async || product.log().contains(text)).await.unwrap();
    };
    let wait_for_polls = async |count: u64| {
        let before = polls();
        wait_until("polled", async || polls() >= before + count).await.unwrap();
    };
    wait_for_polls(1).await;
    servers[1].crash();
    wait_for_line("server offline").await;
    // The dead server is polled twelve times as often as this one.
    wait_for_polls(3).await;
    servers[1].restart();
    wait_for_line("server online").await;
    wait_for_polls(2).await;
    let log = product.log();
    let about_polls: Vec<_> = ["poll failed", "server offline", "server answers again"]
        .into_iter()
        .map(|text| lines_with(&log, text).len())
        .collect();
    assert!(about_polls[0] <= 1 && about_polls[1..] == [1, 0], "{about_polls:?} {log}");
    assert!(lines_with(&log, "server offline")[0].contains("host=\"127.0.0.1\""), "{log}");
}

#[tokio::test]
async fn each_change_tells_who_made_it() {
    let deployment = start_deployment(1, &[("POLL_INTERVAL", "1")]).await;
    let product = &deployment.product;
    let servers = product.call_management("getServers", None).await.unwrap();
    let id = servers[0]["id"].as_str().unwrap().to_owned();

    // What a command changes goes to the log of the system, and the running process notices it.
    let setup = product.setup().clone();
    let socket = setup.folder().join("log.sock");
    let system_log = UnixDatagram::bind(&socket).unwrap();
    system_log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let setup = setup.with_setting("COMMAND_LOG", &socket.display().to_string());
    let setup = setup.with_setting("SUDO_USER", "ada");
    let noticed = async || product.log().contains("server changed by another process");
    // The process has read the servers before they change.
    wait_until("polled", async || {
        let listed = product.call_management("getServers", None).await.unwrap();
        listed[0]["online"] == "online"
    })
    .await
    .unwrap();
    let cordon = process::run(&setup, &["servers", "cordon", &id]).await.unwrap();
    assert_eq!((cordon.exit_code, cordon.stderr.as_str()), (0, ""), "{cordon:?}");
    let mut buffer = [0; 4096];
    let length = system_log.recv(&mut buffer).unwrap();
    let line = String::from_utf8_lossy(&buffer[..length]).into_owned();
    assert!(line.starts_with("<14>scalelite[") && line.contains("server changed"), "{line}");
    assert!(line.contains("by=ada as ") && line.contains('@'), "{line}");
    assert!(line.contains("host=\"127.0.0.1\""), "{line}");
    wait_until("noticed", noticed).await.unwrap();
    let log = product.log();
    let lines = lines_with(&log, "server changed by another process");
    assert!(lines[0].contains("state: enabled -> cordoned"), "{lines:?}");

    // What the process changes itself is told once.
    let count = || lines_with(&product.log(), "by=client").len();
    let before = count();
    let change = json!({ "id": id, "server": { "tag": "new" } });
    product.call_management("updateServer", Some(change)).await.unwrap();
    wait_until("logged", async || count() == before + 1).await.unwrap();
    let remove = json!({ "id": id });
    product.call_management("deleteServer", Some(remove)).await.unwrap();
    let is_removed = async || product.log().contains("server removed");
    wait_until("removed", is_removed).await.unwrap();
    let mut product = deployment.product;
    product.terminate().await.unwrap();
    product.wait_for_exit().await.unwrap();
    let log = product.log();
    assert_eq!(lines_with(&log, "by another process").len(), 1, "{log}");
}

#[tokio::test]
async fn a_request_can_be_followed_from_the_client_to_the_server() {
    let deployment = start_deployment(1, &[]).await;
    let product = &deployment.product;
    let send = async |name: &str, query: &str, id: &str| {
        let mut request = new_request("GET", &signed_target(name, query));
        request.headers.push(("X-Request-Id".to_owned(), id.to_owned()));
        let response = product.send(&request).await.unwrap();
        let id = response.header("x-request-id").unwrap_or_default().to_owned();
        (response, id)
    };
    let server = &deployment.pool.servers()[0];
    let _ = server.take_log();
    let (created, id) = send("create", &create_query("room"), "from-proxy-17").await;
    assert!(is_success(&created), "{}", created.text());
    assert_eq!(id, "from-proxy-17");
    let log = server.take_log();
    let ids: Vec<_> = log
        .iter()
        .filter(|request| request.call == "create")
        .map(|request| request.header("x-request-id"))
        .collect();
    assert_eq!(ids, [Some("from-proxy-17")]);
    // What could not stand in a log is replaced.
    let (_, id) = send("getMeetingInfo", "meetingID=room", "two words").await;
    assert_eq!(id.len(), 36, "{id}");
    let logged = async || product.log().contains(&id);
    wait_until("logged", logged).await.unwrap();
    let log = product.log();
    let line = lines_with(&log, "request_id=\"from-proxy-17\"").pop().unwrap();
    assert!(line.contains("call=\"create\"") && line.contains("host=\"127.0.0.1\""), "{line}");
    // A failure that only our log explains names the request.
    server.crash();
    let (failed, id) = send("getMeetingInfo", "meetingID=room", "broken-1").await;
    assert_eq!(
        (failed.xml_field("messageKey").as_str(), id.as_str()),
        ("internalError", "broken-1")
    );
    assert!(failed.text().ends_with("</response><!-- request broken-1 -->"), "{}", failed.text());
    let (refused, _) = send("getMeetingInfo", "meetingID=unknown", "broken-2").await;
    assert_eq!(refused.xml_field("messageKey"), "notFound");
    assert!(!refused.text().contains("request broken"), "{}", refused.text());
    assert!(!product.log().contains(SECRET));
}
