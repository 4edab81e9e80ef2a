//! Callbacks: what creates ask for is taken out of them, reports of servers reach the front-end that asked for them,
//! and nobody else is called.

use bbb::token::{self, Claims, TokenAlgorithm};
use serde_json::{Value, json};
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{SECRET, wait_until};
use testkit::samples::SampleRecording;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::tools::{assert_success, parameter, send, start_deployment_with, take_requests};

const HOST: (&str, &str) = ("URL_HOST", "balancer.test");
const ALLOW: (&str, &str) = ("CALLBACK_ALLOW", "127.0.0.0/8");
const REPORT: &str = "/bigbluebutton/api/analytics_callback";

/// What a front-end was told.
struct ReceivedCallback {
    head: String,
    body: String,
}

/// A front-end that answers with these statuses in turn, and then with the last one.
async fn start_front_end(
    statuses: &'static [u16],
) -> (String, mpsc::UnboundedReceiver<ReceivedCallback>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/heard?a=b", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let last = statuses.last().copied().into_iter().cycle();
        for status in statuses.iter().copied().chain(last) {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let told = read_callback(&mut stream).await;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = sender.send(told);
        }
    });
    (url, receiver)
}

async fn read_callback(stream: &mut TcpStream) -> ReceivedCallback {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return ReceivedCallback { head: head.to_owned(), body: body.to_owned() };
            }
        }
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "incomplete");
    }
}

/// A create that wants to hear of analytics; what the server was told instead.
async fn create_with_callback(world: &TestDeployment, id: &str, url: &str) -> String {
    let wanted = form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    let query = format!(
        "meetingID={id}&name=room&meta_analytics-callback-url={wanted}\
         &meta_bbb-recording-ready-url=http%3A%2F%2Fready.test&meta_BN-recording-ready-url=http%3A%2F%2Fbn.test"
    );
    assert_success(&world.product.call("create", &query).await.unwrap());
    let servers = world.pool.servers().iter();
    let sent: Vec<String> = servers
        .flat_map(|server| take_requests(server, "create"))
        .map(|request| request.query)
        .collect();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].to_ascii_lowercase().contains("recording-ready-url"), "{}", sent[0]);
    parameter(&sent[0], "meta_analytics-callback-url").unwrap()
}

/// A server reports what happened in a meeting.
async fn send_report(world: &TestDeployment, id: &str, secret: &str) {
    let token = token::sign(&Claims::new(), secret, TokenAlgorithm::Hs512).unwrap();
    let headers =
        [("Content-Type", "application/json"), ("Authorization", &format!("Bearer {token}"))];
    let body = json!({ "version": "1.0", "meeting_id": id, "data": { "attendees": [] } });
    let answer =
        send(&world.product, "POST", REPORT, &headers, Some(body.to_string().as_bytes())).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
}

async fn list_outbox(world: &TestDeployment) -> Vec<Value> {
    let said = process::run(world.product.setup(), &["callbacks", "list", "--json"]).await.unwrap();
    assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0));
    serde_json::from_str(&said.stdout).unwrap()
}

#[tokio::test]
async fn a_report_of_the_meetings_server_reaches_the_front_end() {
    let world = start_deployment_with(2, &[HOST, ALLOW]).await;
    let (url, mut told) = start_front_end(&[200]).await;
    assert_eq!(
        create_with_callback(&world, "m1", &url).await,
        format!("https://balancer.test{REPORT}")
    );
    let has_it = world.servers_with("m1")[0].secret();
    let servers = world.pool.servers().iter().map(|server| server.secret());
    for forger in servers.filter(|one| *one != has_it).chain([SECRET.to_owned()]) {
        send_report(&world, "m1", &forger).await;
    }
    send_report(&world, "nobody asked", &has_it).await;
    send_report(&world, "m1", &has_it).await;
    let told = told.recv().await.unwrap();
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!((&body["meeting_id"], &body["customer"]), (&json!("m1"), &json!("scalelite")));
    assert_eq!(body["data"], json!({ "attendees": [] }));
    assert!(told.head.starts_with("POST /heard?a=b HTTP/1.1\r\n"), "{}", told.head);
    let bearer = told.head.split("Bearer ").nth(1).unwrap().lines().next().unwrap();
    let claims = token::verify(bearer, SECRET, TokenAlgorithm::Hs512, 0).unwrap();
    assert!(claims["exp"].is_number());
    wait_until("nothing waits", async || list_outbox(&world).await.is_empty()).await.unwrap();
}

#[tokio::test]
async fn an_undelivered_callback_is_sent_again() {
    let world = start_deployment_with(1, &[HOST, ALLOW]).await;
    let (url, mut told) = start_front_end(&[500, 204]).await;
    create_with_callback(&world, "m1", &url).await;
    send_report(&world, "m1", &world.pool.server(1).secret()).await;
    told.recv().await.unwrap();
    let failed = async || list_outbox(&world).await.iter().any(|one| one["attempts"] == json!(1));
    wait_until("the attempt is counted", failed).await.unwrap();
    let kept = list_outbox(&world).await.remove(0);
    assert_eq!(kept["failure"], json!("answered with status 500"));
    let id = kept["id"].as_str().unwrap();
    let said = process::run(world.product.setup(), &["callbacks", "retry", id]).await.unwrap();
    assert_eq!(said.exit_code, 0, "{}", said.stderr);
    let again: Value = serde_json::from_str(&told.recv().await.unwrap().body).unwrap();
    assert_eq!(again["meeting_id"], json!("m1"));
    wait_until("nothing waits", async || list_outbox(&world).await.is_empty()).await.unwrap();
    let said = process::run(world.product.setup(), &["callbacks", "retry", "x"]).await.unwrap();
    assert_eq!(
        (said.stderr.as_str(), said.exit_code),
        ("ERROR: No callback found with id: x\n", 1)
    );
}

#[tokio::test]
async fn private_addresses_are_not_called() {
    let world = start_deployment_with(1, &[HOST]).await;
    let (url, mut told) = start_front_end(&[200]).await;
    create_with_callback(&world, "m1", &url).await;
    send_report(&world, "m1", &world.pool.server(1).secret()).await;
    let refused = async || {
        let waiting = list_outbox(&world).await;
        let failure = waiting.first().and_then(|one| one["failure"].as_str());
        failure.is_some_and(|failure| failure.starts_with("not allowed: "))
    };
    wait_until("it is refused", refused).await.unwrap();
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_callback_answered_gone_is_not_called_again() {
    let world = start_deployment_with(1, &[HOST, ALLOW]).await;
    let (url, mut told) = start_front_end(&[410]).await;
    create_with_callback(&world, "m1", &url).await;
    send_report(&world, "m1", &world.pool.server(1).secret()).await;
    told.recv().await.unwrap();
    wait_until("nothing waits", async || list_outbox(&world).await.is_empty()).await.unwrap();
}

/// From the create to the front-end: the archive of the meeting comes, and whoever asked hears of it.
#[tokio::test]
async fn an_imported_recording_is_reported_to_the_front_end() {
    let world =
        start_deployment_with(1, &[HOST, ALLOW, ("RECORDING_IMPORT_POLL_INTERVAL", "0.1")]).await;
    let (url, mut told) = start_front_end(&[500, 200]).await;
    let sample = SampleRecording::new(1);
    let wanted = form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    let query =
        format!("meetingID={}&name=room&meta_bbb-recording-ready-url={wanted}", sample.meeting_id);
    assert_success(&world.product.call("create", &query).await.unwrap());
    let spool = world.product.setup().folder().join("spool");
    let unfinished = spool.join(".unfinished");
    std::fs::write(&unfinished, sample.archive(&["video", "notes"])).unwrap();
    std::fs::rename(unfinished, spool.join(format!("{}.tar", sample.record_id))).unwrap();
    let first = told.recv().await.unwrap();
    assert!(first.head.starts_with("POST /heard?a=b HTTP/1.1\r\n"), "{}", first.head);
    let form: Vec<(String, String)> =
        form_urlencoded::parse(first.body.as_bytes()).into_owned().collect();
    let [(name, signed)] = &form[..] else { panic!("{form:?}") };
    assert_eq!(name, "signed_parameters");
    let claims = token::verify(signed, SECRET, TokenAlgorithm::Hs256, 0).unwrap();
    assert_eq!(claims["meeting_id"], json!(sample.meeting_id));
    assert_eq!(claims["record_id"], json!(sample.record_id));
    // It was not heard: so it is kept, and sent again when somebody wants that.
    let kept = async || list_outbox(&world).await.iter().any(|one| one["attempts"] == 1);
    wait_until("kept", kept).await.unwrap();
    let id = list_outbox(&world).await[0]["id"].as_str().unwrap().to_owned();
    let retried = process::run(world.product.setup(), &["callbacks", "retry", &id]).await.unwrap();
    assert_eq!(retried.exit_code, 0, "{retried:?}");
    assert_eq!(told.recv().await.unwrap().body.split('=').next(), Some("signed_parameters"));
    wait_until("nothing waits", async || list_outbox(&world).await.is_empty()).await.unwrap();
    let said = world.product.call("getRecordings", "").await.unwrap().text();
    assert!(said.contains(&sample.record_id), "{said}");
}
