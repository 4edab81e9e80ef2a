//! Access to the management API: its own secret and address, the switch, secrets that are not shown, tokens that sign the whole request, and
//! spellings of its path that rules of proxies would not match.

use bbb::token::{Claims, TokenAlgorithm, sign};
use bbb_sim::Algorithm;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::product::{
    ClientConnection, ClientResponse, Product, SECRET, new_request, wait_until,
};
use tokio::net::UnixStream;

use crate::tools::{assert_failed, send, start_deployment, start_deployment_with};

const OWN: &str = "management-secret-of-the-tests";
const REVEAL: &str = "reveal-secret-of-the-tests";
const PATH: &str = "/scalelite/api";

/// The target of a call, signed with this secret.
fn signed(secret: &str, call: &str, query: &str) -> String {
    let checksum = Algorithm::Sha256.hex_digest(&format!("{call}{query}{secret}"));
    let separator = if query.is_empty() { "" } else { "&" };
    format!("{PATH}/{call}?{query}{separator}checksum={checksum}")
}

async fn post(product: &Product, secret: &str, call: &str, body: &Value) -> ClientResponse {
    let (kind, body) = ([("Content-Type", "application/json")], body.to_string());
    send(product, "POST", &signed(secret, call, ""), &kind, Some(body.as_bytes())).await
}

fn parse(response: &ClientResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()))
}

#[tokio::test]
async fn its_own_secret_replaces_those_of_front_ends() {
    let settings = [("MANAGEMENT_SECRET", OWN), ("MANAGEMENT_REVEAL_SECRET", REVEAL)];
    let deployment = start_deployment_with(0, &settings).await;
    let product = &deployment.product;
    let new = json!({ "url": "https://a.example.test/bigbluebutton/api", "secret": "s1" });
    assert_failed(&post(product, SECRET, "addServer", &new).await, "checksumError");
    let mut masked = new.clone();
    masked["secret"] = json!("***");
    assert_eq!(post(product, OWN, "addServer", &masked).await.status, 400);
    let added = post(product, OWN, "addServer", &new).await;
    assert_eq!((added.status, parse(&added)["secret"].as_str()), (201, Some("***")));
    let id = parse(&added)["id"].clone();
    // A script that sends back what it got does not change the secret.
    let same = json!({ "id": id, "server": { "secret": "***", "tag": "a" } });
    let updated = post(product, OWN, "updateServer", &same).await;
    assert_eq!((updated.status, parse(&updated)["tag"].as_str()), (200, Some("a")));
    for (secret, shown) in [(OWN, "***"), (REVEAL, "s1")] {
        let servers = product.get(&signed(secret, "getServers", "")).await.unwrap();
        assert_eq!(parse(&servers)[0]["secret"].as_str(), Some(shown));
    }
    // Front-ends' calls are signed as before.
    let call = product.call("getMeetings", "").await.unwrap();
    assert_eq!(call.xml_field("returncode"), "SUCCESS");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let settings = [("MANAGEMENT_API_ENABLED", "false"), ("MANAGEMENT_SECRET", OWN)];
    let deployment = start_deployment_with(0, &settings).await;
    let response = deployment.product.get(&signed(OWN, "getServers", "")).await.unwrap();
    assert_failed(&response, "unsupportedRequest");
}

#[tokio::test]
async fn other_spellings_of_its_path_lead_nowhere() {
    let deployment = start_deployment(1).await;
    let target = signed(SECRET, "getServers", "");
    assert_eq!(deployment.product.get(&target).await.unwrap().status, 200);
    let (_, rest) = target.split_once("/scalelite/api/").unwrap();
    // A token that is not ours may be for a proxy in front.
    let bearer = [("Authorization", "Bearer a.b.c")];
    assert_eq!(send(&deployment.product, "GET", &target, &bearer, None).await.status, 200);
    for prefix in [
        "//scalelite///api//",
        "//scalelite/api/",
        "/scalelite//api/",
        "/scalelite/api//",
        "/./scalelite/api/",
        "/x/../scalelite/api/",
        "/scalelite/%61pi/",
        "/Scalelite/api/",
    ] {
        let response = deployment.product.get(&format!("{prefix}{rest}")).await.unwrap();
        assert_failed(&response, "unsupportedRequest");
    }
}

#[tokio::test]
async fn its_own_address_serves_it_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("management.sock");
    let bind = format!("unix://{}", path.display());
    let settings = [("MANAGEMENT_BIND", bind.as_str()), ("URL_HOST", "balancer.test")];
    let deployment = start_deployment_with(0, &settings).await;
    let target = signed(SECRET, "getServers", "");
    assert_failed(&deployment.product.get(&target).await.unwrap(), "unsupportedRequest");
    let connects = async || UnixStream::connect(&path).await.is_ok();
    wait_until("listening", connects).await.unwrap();
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut connection = ClientConnection::from_stream(stream);
    for (target, status, text) in [
        // Administrators reach it under another name.
        (target.as_str(), 404, "No servers are configured"),
        ("/health_check", 200, "success"),
        ("/bigbluebutton/api", 200, "unsupportedRequest"),
        ("/presentation/x/", 200, "unsupportedRequest"),
    ] {
        let mut request = new_request("GET", target);
        request.headers = vec![("Host".to_owned(), "localhost".to_owned())];
        let response = connection.send_request(&request).await.unwrap();
        assert!(response.status == status && response.text().contains(text), "{}", response.text());
    }
}

/// Claims of a token for a call with this query and body.
fn claims(call: &str, query: &str, body: &str, jti: &str, age_s: u64) -> Claims {
    let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({
        "aud": "scalelite-management",
        "sub": call,
        "query": query,
        "body": digest,
        "iat": now - age_s,
        "jti": jti,
    });
    claims.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_token_signs_body_time_and_nonce() {
    let settings = [("MANAGEMENT_SECRET", OWN), ("MANAGEMENT_REQUIRE_TOKENS", "true")];
    let deployment = start_deployment_with(0, &settings).await;
    let product = &deployment.product;
    let body = json!({ "url": "https://a.example.test/bigbluebutton/api", "secret": "s1" });
    // One checksum would be valid for ever, and for any body.
    assert_failed(&post(product, OWN, "addServer", &body).await, "checksumError");
    let text = body.to_string();
    let call = async |claims: &Claims, secret: &str, query: &str, body: &str| {
        let token = sign(claims, secret, TokenAlgorithm::Hs256).unwrap();
        let bearer = format!("Bearer {token}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &bearer)];
        let target = format!("{PATH}/addServer{}{query}", if query.is_empty() { "" } else { "?" });
        send(product, "POST", &target, &headers, Some(body.as_bytes())).await
    };
    let other = text.replace("a.example", "evil.example");
    let good = claims("addServer", "", &text, "nonce-one", 10);
    for (claims, secret, query, body) in [
        (claims("addServer", "", &text, "nonce-two", 10), OWN, "", &other),
        (claims("addServer", "", &text, "nonce-two", 10), OWN, "tag=x", &text),
        (claims("deleteServer", "", &text, "nonce-two", 10), OWN, "", &text),
        (claims("addServer", "", &text, "nonce-two", 400), OWN, "", &text),
        (claims("addServer", "", &text, "short", 10), OWN, "", &text),
        (good.clone(), SECRET, "", &text),
    ] {
        assert_failed(&call(&claims, secret, query, body).await, "checksumError");
    }
    let added = call(&good, OWN, "", &text).await;
    assert_eq!(added.status, 201, "{}", added.text());
    assert_failed(&call(&good, OWN, "", &text).await, "checksumError");
    let next = claims("addServer", "tag=x", &other, "nonce-three", 0);
    let added = call(&next, OWN, "tag=x", &other).await;
    assert_eq!((added.status, parse(&added)["tag"].as_str()), (201, Some("x")));
}
