//! Learning record stores of tenants: what a create tells the server about them, and what becomes
//! of it when Keycloak has no token to give.

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

/// A server that gives this answer to one request, which it returns.
async fn start_keycloak(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"password=k3%26y") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "incomplete");
        }
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

async fn run_command(world: &TestDeployment, arguments: &[&str]) {
    let said = process::run(world.product.setup(), arguments).await.unwrap();
    assert_eq!((said.stderr.as_str(), said.exit_code), ("", 0));
}

/// What the server is told by a create of the tenant.
async fn sent_analytics(world: &TestDeployment) -> Option<String> {
    let query = "meetingID=m1&name=room";
    assert_success(&call_as_tenant(world, "acme.any.test", "s1", "create", query).await);
    let create = take_requests(world.pool.server(1), "create").pop().unwrap();
    parameter(&create.query, bbb::lrs::PAYLOAD_PARAMETER)
}

/// Asserts that something was sealed for the first server.
fn assert_sealed(world: &TestDeployment, sealed: &str, plain: &serde_json::Value) {
    let noise = STANDARD.decode(sealed).unwrap()[..16].try_into().unwrap();
    let expected =
        bbb::lrs::encrypt_payload(&plain.to_string(), &world.pool.server(1).secret(), noise);
    assert_eq!(sealed, expected);
}

#[tokio::test]
async fn a_create_tells_the_server_user_and_password() {
    let world = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&world, "acme", "s1").await;
    let lrs = "https://lrs.example.test";
    run_command(&world, &["tenants", "update-lrs-basic", &id, lrs, "user", "pass"]).await;
    let sealed = sent_analytics(&world).await.unwrap();
    let plain = json!({ "lrs_endpoint": lrs, "lrs_username": "user", "lrs_password": "pass" });
    assert_sealed(&world, &sealed, &plain);
}

#[tokio::test]
async fn a_create_tells_the_server_a_token_of_keycloak() {
    let world = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&world, "acme", "s1").await;
    let (url, asked) =
        start_keycloak("200 OK", "{\"access_token\":\"t0ken\",\"expires_in\":60}").await;
    let lrs = "https://lrs.example.test";
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, lrs, &url];
    arguments.extend(fields);
    run_command(&world, &arguments).await;
    let sealed = sent_analytics(&world).await.unwrap();
    assert_sealed(&world, &sealed, &json!({ "lrs_endpoint": lrs, "lrs_token": "t0ken" }));
    let asked = asked.await.unwrap();
    let form = "\r\n\r\ngrant_type=password&client_id=client&client_secret=hidden\
                &username=me%40x&password=k3%26y";
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n") && asked.ends_with(form), "{asked}");
}

#[tokio::test]
async fn a_create_goes_on_without_a_token() {
    let world = start_deployment_with(1, &[MULTITENANCY]).await;
    let id = add_tenant(&world, "acme", "s1").await;
    let (url, asked) = start_keycloak("401 Unauthorized", "no, k3&y").await;
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, "https://lrs.example.test", &url];
    arguments.extend(fields);
    run_command(&world, &arguments).await;
    assert_eq!(sent_analytics(&world).await, None);
    asked.await.unwrap();
    let reason = "Keycloak answers with status 401";
    wait_until("logged", async || world.product.log().contains(reason)).await.unwrap();
    let log = world.product.log();
    assert!(log.contains("learning record store left out of create"), "{log}");
    assert!(!log.contains("k3&y") && !log.contains("hidden"), "{log}");
}
