//! Learning record stores of tenants: what a create tells the server about them, and what becomes
//! of it when Keycloak has no token to give.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::process;
use testkit::product::until;
use testkit::world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::tenants::{MT, add, call};
use crate::tools::{asked, assert_success, parameter, world_with};

/// A server that gives this answer to one request, which it returns.
async fn keycloak(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
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

async fn command(world: &World, arguments: &[&str]) {
    let said = process::run(world.product.setup(), arguments).await.unwrap();
    assert_eq!((said.stderr.as_str(), said.code), ("", 0));
}

/// What the server is told by a create of the tenant.
async fn told(world: &World) -> Option<String> {
    let query = "meetingID=m1&name=room";
    assert_success(&call(world, "acme.any.test", "s1", "create", query).await);
    let create = asked(world.pool.server(1), "create").pop().unwrap();
    parameter(&create.query, bbb::lrs::PARAMETER)
}

/// Asserts that something was sealed for the first server.
fn assert_sealed(world: &World, sealed: &str, plain: &serde_json::Value) {
    let noise = STANDARD.decode(sealed).unwrap()[..16].try_into().unwrap();
    let expected = bbb::lrs::sealed(&plain.to_string(), &world.pool.server(1).secret(), noise);
    assert_eq!(sealed, expected);
}

#[tokio::test]
async fn a_create_tells_the_server_user_and_password() {
    let world = world_with(1, &[MT]).await;
    let id = add(&world, "acme", "s1").await;
    let lrs = "https://lrs.example.test";
    command(&world, &["tenants", "update-lrs-basic", &id, lrs, "user", "pass"]).await;
    let sealed = told(&world).await.unwrap();
    let plain = json!({ "lrs_endpoint": lrs, "lrs_username": "user", "lrs_password": "pass" });
    assert_sealed(&world, &sealed, &plain);
}

#[tokio::test]
async fn a_create_tells_the_server_a_token_of_keycloak() {
    let world = world_with(1, &[MT]).await;
    let id = add(&world, "acme", "s1").await;
    let (url, asked) = keycloak("200 OK", "{\"access_token\":\"t0ken\",\"expires_in\":60}").await;
    let lrs = "https://lrs.example.test";
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, lrs, &url];
    arguments.extend(fields);
    command(&world, &arguments).await;
    let sealed = told(&world).await.unwrap();
    assert_sealed(&world, &sealed, &json!({ "lrs_endpoint": lrs, "lrs_token": "t0ken" }));
    let asked = asked.await.unwrap();
    let form = "\r\n\r\ngrant_type=password&client_id=client&client_secret=hidden\
                &username=me%40x&password=k3%26y";
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n") && asked.ends_with(form), "{asked}");
}

#[tokio::test]
async fn a_create_goes_on_without_a_token() {
    let world = world_with(1, &[MT]).await;
    let id = add(&world, "acme", "s1").await;
    let (url, asked) = keycloak("401 Unauthorized", "no, k3&y").await;
    let fields = ["client", "hidden", "me@x", "k3&y"];
    let mut arguments = vec!["tenants", "update-lrs-kc", &id, "https://lrs.example.test", &url];
    arguments.extend(fields);
    command(&world, &arguments).await;
    assert_eq!(told(&world).await, None);
    asked.await.unwrap();
    let reason = "Keycloak answers with status 401";
    until("logged", async || world.product.log().contains(reason)).await.unwrap();
    let log = world.product.log();
    assert!(log.contains("learning record store left out of create"), "{log}");
    assert!(!log.contains("k3&y") && !log.contains("hidden"), "{log}");
}
