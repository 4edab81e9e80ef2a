//! Learning record stores of tenants: the credentials that a create sends to the server, and a
//! create for which Keycloak issues no token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{assert_success, parameter, start_deployment_with, take_requests};

/// Starts a server that answers one request; the task returns the request.
async fn start_keycloak(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"password=k3%26y") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "incomplete");
        }
        let length = body.len();
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, request)
}

async fn run_command(deployment: &TestDeployment, arguments: &[&str]) {
    let output = process::run(deployment.product.setup(), arguments).await.unwrap();
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
}

/// Creates a meeting of the tenant; returns the encrypted payload that the server receives.
async fn send_create(deployment: &TestDeployment) -> Option<String> {
    let query = "meetingID=m1&name=room";
    assert_success(&call_as_tenant(deployment, "acme.any.test", "s1", "create", query).await);
    let create = take_requests(deployment.pool.server(1), "create").pop().unwrap();
    parameter(&create.query, bbb::lrs::PAYLOAD_PARAMETER)
}

/// Asserts that a payload was encrypted with the secret of the first server.
fn assert_payload(deployment: &TestDeployment, payload: &str, plain: &serde_json::Value) {
    let salt = STANDARD.decode(payload).unwrap()[..16].try_into().unwrap();
    let expected =
        bbb::lrs::encrypt_payload(&plain.to_string(), &deployment.pool.server(1).secret(), salt);
    assert_eq!(payload, expected);
}

#[tokio::test]
async fn a_create_sends_user_and_password_to_the_server() {
    let deployment = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    let lrs = "https://lrs.example.test";
    run_command(&deployment, &["tenants", "update-lrs-basic", &id, lrs, "user", "pass"]).await;
    let payload = send_create(&deployment).await.unwrap();
    let plain = json!({ "lrs_endpoint": lrs, "lrs_username": "user", "lrs_password": "pass" });
    assert_payload(&deployment, &payload, &plain);
}

#[tokio::test]
async fn a_create_sends_a_keycloak_token_to_the_server() {
    let deployment = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    let (url, request) =
        start_keycloak("200 OK", "{\"access_token\":\"t0ken\",\"expires_in\":60}").await;
    let lrs = "https://lrs.example.test";
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, lrs, &url];
    arguments.extend(fields);
    run_command(&deployment, &arguments).await;
    let payload = send_create(&deployment).await.unwrap();
    assert_payload(&deployment, &payload, &json!({ "lrs_endpoint": lrs, "lrs_token": "t0ken" }));
    let request = request.await.unwrap();
    let form = "\r\n\r\ngrant_type=password&client_id=client&client_secret=hidden\
                &username=me%40x&password=k3%26y";
    assert!(
        request.starts_with("POST /token HTTP/1.1\r\n") && request.ends_with(form),
        "{request}"
    );
}

#[tokio::test]
async fn a_create_succeeds_without_a_token() {
    let deployment = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    let (url, request) = start_keycloak("401 Unauthorized", "no, k3&y").await;
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, "https://lrs.example.test", &url];
    arguments.extend(fields);
    run_command(&deployment, &arguments).await;
    assert_eq!(send_create(&deployment).await, None);
    request.await.unwrap();
    let reason = "Keycloak answered with status 401";
    wait_until("logged", async || deployment.product.log().contains(reason)).await.unwrap();
    let log = deployment.product.log();
    assert!(log.contains("learning record store left out of create"), "{log}");
    assert!(!log.contains("k3&y") && !log.contains("hidden"), "{log}");
}

/// A Keycloak that answers each request with the next of these, and the last one for ever; counts the requests.
async fn start_many_answers(
    answers: &'static [(&'static str, &'static str)],
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.windows(9).any(|part| part == b"password=") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let (status, body) = answers[number.min(answers.len() - 1)];
            let length = body.len();
            let response = format!(
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            );
            let _ = stream.write_all(response.as_bytes()).await;
        }
    });
    (url, count)
}

#[tokio::test]
async fn creates_share_a_young_token_and_ask_for_another_one() {
    let deployment = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    // The second token has expired when it arrives; then the password is refused.
    let (url, asked) = start_many_answers(&[
        ("200 OK", "{\"access_token\":\"t1\",\"expires_in\":0}"),
        ("200 OK", "{\"access_token\":\"t2\",\"expires_in\":3600}"),
        ("401 Unauthorized", "{\"error\":\"invalid_grant\"}"),
    ])
    .await;
    let lrs = "https://lrs.example.test";
    let set_password = async |password: &str| {
        let line = ["tenants", "update-lrs-kc", &id, lrs, &url, "client", "hidden", "me", password];
        run_command(&deployment, &line).await;
    };
    set_password("first").await;
    for (token, count) in [("t1", 1), ("t2", 2), ("t2", 2), ("t2", 2)] {
        let payload = send_create(&deployment).await.unwrap();
        assert_payload(&deployment, &payload, &json!({ "lrs_endpoint": lrs, "lrs_token": token }));
        assert_eq!(asked.load(Ordering::SeqCst), count);
    }
    // Another password is tried at once, as soon as the process knows of it, and a refusal is not asked for again and again.
    set_password("second").await;
    wait_until("refused", async || send_create(&deployment).await.is_none()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(send_create(&deployment).await, None);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}
