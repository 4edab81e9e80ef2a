//! Callbacks: callback URLs are removed from creates, and reports of servers reach the front-end
//! that registered the URL and no other address.

use adapters::sqlite::SqliteStore;
use app::ports::{MessageTopic, Outbox as _, OutboxMessage, Recordings as _};
use bbb::token::{self, Claims, TokenAlgorithm};
use domain::Timestamp;
use domain::recording::Callback;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{SECRET, Setup, signed_target_with, wait_until};
use testkit::samples::SampleRecording;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::tools::{
    assert_success, list_outbox, parameter, send, start_deployment_with, take_requests,
};

const HOST: (&str, &str) = ("URL_HOST", "balancer.test");
const ALLOW: (&str, &str) = ("CALLBACK_ALLOW", "127.0.0.0/8");
const REPORT: &str = "/bigbluebutton/api/analytics_callback";

/// A callback as a front-end received it.
pub(crate) struct ReceivedCallback {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Starts a front-end that answers with each status in turn, then always with the last one.
pub(crate) async fn start_front_end(
    statuses: &'static [u16],
) -> (String, mpsc::UnboundedReceiver<ReceivedCallback>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/callback?a=b", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let last = statuses.last().copied().into_iter().cycle();
        for status in statuses.iter().copied().chain(last) {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let callback = read_callback(&mut stream).await;
            let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(response.as_bytes()).await.unwrap();
            let _ = sender.send(callback);
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

/// Creates a meeting with callback URLs; returns the analytics URL that the server receives
/// instead.
async fn create_with_callback(deployment: &TestDeployment, id: &str, url: &str) -> String {
    let encoded_url = form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    let query = format!(
        "meetingID={id}&name=room&meta_analytics-callback-url={encoded_url}\
         &meta_bbb-recording-ready-url=http%3A%2F%2Fready.test&meta_BN-recording-ready-url=http%3A%2F%2Fbn.test"
    );
    assert_success(&deployment.product.call("create", &query).await.unwrap());
    let servers = deployment.pool.servers().iter();
    let sent: Vec<String> = servers
        .flat_map(|server| take_requests(server, "create"))
        .map(|request| request.query)
        .collect();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].to_ascii_lowercase().contains("recording-ready-url"), "{}", sent[0]);
    parameter(&sent[0], "meta_analytics-callback-url").unwrap()
}

/// Sends the report of a server about a meeting.
async fn send_report(deployment: &TestDeployment, id: &str, secret: &str) {
    // As BBB does: valid for a day, and naming nothing.
    let mut claims = Claims::new();
    claims.insert("exp".to_owned(), json!(seconds_from_now(86_400)));
    send_report_with(deployment, id, secret, &claims).await;
}

/// The time in this number of seconds, as seconds since 1970.
fn seconds_from_now(seconds: i64) -> i64 {
    use app::ports::Clock as _;
    adapters::entropy::SystemClock.now().0 / 1000 + seconds
}

/// Sends the report of a server, with a token of these claims.
async fn send_report_with(deployment: &TestDeployment, id: &str, secret: &str, claims: &Claims) {
    let token = token::sign(claims, secret, TokenAlgorithm::Hs512).unwrap();
    let headers =
        [("Content-Type", "application/json"), ("Authorization", &format!("Bearer {token}"))];
    let body = json!({ "version": "1.0", "meeting_id": id, "data": { "attendees": [] } });
    let response =
        send(&deployment.product, "POST", REPORT, &headers, Some(body.to_string().as_bytes()))
            .await;
    assert_eq!((response.status, response.text().as_str()), (200, ""));
}

#[tokio::test]
async fn a_report_of_the_meetings_server_reaches_the_front_end() {
    let deployment = start_deployment_with(2, &[HOST, ALLOW]).await;
    let (url, mut callbacks) = start_front_end(&[200]).await;
    assert_eq!(
        create_with_callback(&deployment, "m1", &url).await,
        format!("https://balancer.test{REPORT}")
    );
    let server_secret = deployment.servers_with("m1")[0].secret();
    let servers = deployment.pool.servers().iter().map(|server| server.secret());
    for forger in servers.filter(|secret| *secret != server_secret).chain([SECRET.to_owned()]) {
        send_report(&deployment, "m1", &forger).await;
    }
    send_report(&deployment, "no callback", &server_secret).await;
    for claims in [
        json!({}),
        json!({ "exp": seconds_from_now(-1) }),
        json!({ "exp": seconds_from_now(10 * 86_400) }),
        json!({ "exp": seconds_from_now(60), "meeting_id": "m2" }),
    ] {
        let claims = claims.as_object().unwrap();
        send_report_with(&deployment, "m1", &server_secret, claims).await;
    }
    send_report(&deployment, "m1", &server_secret).await;
    let callback = callbacks.recv().await.unwrap();
    let body: Value = serde_json::from_str(&callback.body).unwrap();
    assert_eq!((&body["meeting_id"], &body["customer"]), (&json!("m1"), &json!("scalelite")));
    assert_eq!(body["data"], json!({ "attendees": [] }));
    assert!(callback.head.starts_with("POST /callback?a=b HTTP/1.1\r\n"), "{}", callback.head);
    let bearer = callback.head.split("Bearer ").nth(1).unwrap().lines().next().unwrap();
    let claims = token::verify(bearer, SECRET, TokenAlgorithm::Hs512, 0).unwrap();
    assert!(claims["exp"].is_number());
    let hash = hex(&Sha256::digest(callback.body.as_bytes()));
    assert_eq!((&claims["meeting_id"], &claims["body_sha256"]), (&json!("m1"), &json!(hash)));
    assert!(callbacks.try_recv().is_err(), "one report was accepted");
    wait_until("outbox empty", async || list_outbox(&deployment).await.is_empty()).await.unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A receiver that refuses everything gets no token that another front-end would accept.
#[tokio::test]
async fn only_the_secret_that_signed_the_create_signs_its_callbacks() {
    let secrets = ("LOADBALANCER_SECRETS", "second-secret:third-secret");
    let deployment = start_deployment_with(1, &[HOST, ALLOW, secrets]).await;
    let (url, mut callbacks) = start_front_end(&[401]).await;
    let encoded_url = form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    for (n, secret) in [SECRET, "third-secret", "second-secret"].into_iter().enumerate() {
        let query = format!("meetingID=m{n}&name=room&meta_analytics-callback-url={encoded_url}");
        let target = signed_target_with(secret, "create", &query);
        assert_success(&deployment.product.get(&target).await.unwrap());
        send_report(&deployment, &format!("m{n}"), &deployment.pool.server(1).secret()).await;
        let bearer_of = |callback: ReceivedCallback| {
            callback.head.split("Bearer ").nth(1).unwrap().lines().next().unwrap().to_owned()
        };
        let bearer = bearer_of(callbacks.recv().await.unwrap());
        let verified = [SECRET, "second-secret", "third-secret"].into_iter().filter(|candidate| {
            token::verify(&bearer, candidate, TokenAlgorithm::Hs512, 0).is_some()
        });
        assert_eq!(verified.collect::<Vec<_>>(), [secret]);
        let is_counted = async || {
            let waiting = list_outbox(&deployment).await;
            waiting.len() == n + 1 && waiting.iter().all(|message| message["attempts"] == json!(1))
        };
        wait_until("the attempt is over", is_counted).await.unwrap();
        assert!(callbacks.try_recv().is_err(), "one attempt, one token");
    }
}

/// The original's rows do not say who signed the create.
#[tokio::test]
async fn a_callback_of_the_original_is_signed_with_the_first_secret_only() {
    let secrets = ("LOADBALANCER_SECRETS", "second-secret");
    let deployment = start_deployment_with(1, &[HOST, ALLOW, secrets]).await;
    let (url, mut callbacks) = start_front_end(&[401]).await;
    let store = deployment.product.setup().folder().join("data/scalelite.db");
    let callback = Callback {
        meeting_id: "old".to_owned(),
        attributes: vec![(Callback::ANALYTICS_URL.to_owned(), url)],
        ..Callback::default()
    };
    SqliteStore::open(&store).unwrap().put_callback(&callback).await.unwrap();
    send_report(&deployment, "old", &deployment.pool.server(1).secret()).await;
    let received = callbacks.recv().await.unwrap();
    let bearer = received.head.split("Bearer ").nth(1).unwrap().lines().next().unwrap();
    assert!(token::verify(bearer, SECRET, TokenAlgorithm::Hs512, 0).is_some());
    let is_counted = async || list_outbox(&deployment).await[0]["attempts"] == json!(1);
    wait_until("the attempt is over", is_counted).await.unwrap();
    assert!(callbacks.try_recv().is_err(), "one attempt, one token");
}

#[tokio::test]
async fn an_undelivered_callback_is_sent_again() {
    let deployment = start_deployment_with(1, &[HOST, ALLOW]).await;
    let (url, mut callbacks) = start_front_end(&[500, 204]).await;
    create_with_callback(&deployment, "m1", &url).await;
    send_report(&deployment, "m1", &deployment.pool.server(1).secret()).await;
    callbacks.recv().await.unwrap();
    let failed = async || {
        list_outbox(&deployment).await.iter().any(|message| message["attempts"] == json!(1))
    };
    wait_until("the attempt is counted", failed).await.unwrap();
    let kept = list_outbox(&deployment).await.remove(0);
    assert_eq!(kept["failure"], json!("answered with status 500"));
    let id = kept["id"].as_str().unwrap();
    let output =
        process::run(deployment.product.setup(), &["callbacks", "retry", id]).await.unwrap();
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    let again: Value = serde_json::from_str(&callbacks.recv().await.unwrap().body).unwrap();
    assert_eq!(again["meeting_id"], json!("m1"));
    wait_until("outbox empty", async || list_outbox(&deployment).await.is_empty()).await.unwrap();
    let output =
        process::run(deployment.product.setup(), &["callbacks", "retry", "x"]).await.unwrap();
    assert_eq!(
        (output.stderr.as_str(), output.exit_code),
        ("ERROR: No callback found with id: x\n", 1)
    );
}

#[tokio::test]
async fn private_addresses_are_not_called() {
    let deployment = start_deployment_with(1, &[HOST]).await;
    let (url, mut callbacks) = start_front_end(&[200]).await;
    create_with_callback(&deployment, "m1", &url).await;
    send_report(&deployment, "m1", &deployment.pool.server(1).secret()).await;
    let refused = async || {
        let waiting = list_outbox(&deployment).await;
        let failure = waiting.first().and_then(|message| message["failure"].as_str());
        failure.is_some_and(|failure| failure.starts_with("not allowed: "))
    };
    wait_until("refused", refused).await.unwrap();
    assert!(callbacks.try_recv().is_err());
}

#[tokio::test]
async fn a_callback_answered_gone_is_not_called_again() {
    let deployment = start_deployment_with(1, &[HOST, ALLOW]).await;
    let (url, mut callbacks) = start_front_end(&[410]).await;
    create_with_callback(&deployment, "m1", &url).await;
    send_report(&deployment, "m1", &deployment.pool.server(1).secret()).await;
    callbacks.recv().await.unwrap();
    wait_until("outbox empty", async || list_outbox(&deployment).await.is_empty()).await.unwrap();
}

/// The whole path: create, import of the archive, callback to the front-end.
#[tokio::test]
async fn an_imported_recording_is_reported_to_the_front_end() {
    let deployment =
        start_deployment_with(1, &[HOST, ALLOW, ("RECORDING_IMPORT_POLL_INTERVAL", "0.1")]).await;
    let (url, mut callbacks) = start_front_end(&[500, 200]).await;
    let sample = SampleRecording::new(1);
    let encoded_url = form_urlencoded::byte_serialize(url.as_bytes()).collect::<String>();
    let query = format!(
        "meetingID={}&name=room&meta_bbb-recording-ready-url={encoded_url}",
        sample.meeting_id
    );
    assert_success(&deployment.product.call("create", &query).await.unwrap());
    let spool = deployment.product.setup().folder().join("spool");
    let unfinished = spool.join(".unfinished");
    std::fs::write(&unfinished, sample.archive(&["video", "notes"])).unwrap();
    std::fs::rename(unfinished, spool.join(format!("{}.tar", sample.record_id))).unwrap();
    let first = callbacks.recv().await.unwrap();
    assert!(first.head.starts_with("POST /callback?a=b HTTP/1.1\r\n"), "{}", first.head);
    let form: Vec<(String, String)> =
        form_urlencoded::parse(first.body.as_bytes()).into_owned().collect();
    let [(name, signed)] = &form[..] else { panic!("{form:?}") };
    assert_eq!(name, "signed_parameters");
    let claims = token::verify(signed, SECRET, TokenAlgorithm::Hs256, 0).unwrap();
    assert_eq!(claims["meeting_id"], json!(sample.meeting_id));
    assert_eq!(claims["record_id"], json!(sample.record_id));
    // The front-end answered 500: the callback is kept, and sent again on request.
    let kept =
        async || list_outbox(&deployment).await.iter().any(|message| message["attempts"] == 1);
    wait_until("kept", kept).await.unwrap();
    let id = list_outbox(&deployment).await[0]["id"].as_str().unwrap().to_owned();
    let retried =
        process::run(deployment.product.setup(), &["callbacks", "retry", &id]).await.unwrap();
    assert_eq!(retried.exit_code, 0, "{retried:?}");
    assert_eq!(callbacks.recv().await.unwrap().body.split('=').next(), Some("signed_parameters"));
    wait_until("outbox empty", async || list_outbox(&deployment).await.is_empty()).await.unwrap();
    let list = deployment.product.call("getRecordings", "").await.unwrap().text();
    assert!(list.contains(&sample.record_id), "{list}");
}

/// They hold what users have done in meetings.
#[tokio::test]
async fn callbacks_that_were_given_up_long_ago_are_forgotten() {
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    let data = setup.folder().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = SqliteStore::open(&data.join("scalelite.db")).unwrap();
    let days_ago = |days: i64| Timestamp((seconds_from_now(0) - days * 86_400) * 1000);
    for (id, days) in [("old", 400), ("new", 300)] {
        let updated_at = days_ago(days);
        let attributes = vec![(Callback::READY_URL.to_owned(), "https://f.test/".to_owned())];
        let callback =
            Callback { meeting_id: id.to_owned(), attributes, updated_at, ..Callback::default() };
        store.put_callback(&callback).await.unwrap();
    }
    for (id, days) in [("old", 31), ("new", 29)] {
        let message = OutboxMessage {
            id: id.to_owned(),
            topic: MessageTopic::Analytics,
            tenant: None,
            meeting_id: "m1".to_owned(),
            record_id: None,
            url: "https://f.test/".to_owned(),
            body: Some("{}".to_owned()),
            secret_hint: None,
            posted_at: days_ago(days),
            attempts: 9,
            failure: Some("gone".to_owned()),
            due_at: None,
        };
        store.post_message(&message).await.unwrap();
    }
    let product = setup.start().await.unwrap();
    let are_forgotten = async || {
        let callbacks = store.list_callbacks_after(None, 9).await.unwrap();
        let messages = store.list_messages(9).await.unwrap();
        let ids: Vec<&str> =
            callbacks.iter().map(|callback| callback.meeting_id.as_str()).collect();
        let message_ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        (ids, message_ids) == (vec!["new"], vec!["new"])
    };
    wait_until("the old ones are forgotten", are_forgotten).await.unwrap();
    drop(product);
}
