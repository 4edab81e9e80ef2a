//! Long requests: welcome texts and JSON in a query or a form. Request targets end at 65 534
//! bytes, the limit of the HTTP library; longer parameters fit into a form.

use testkit::product::{ClientConnection, new_request, signed_target};

use crate::tools::{assert_success, create, parameter, start_deployment, take_requests};

/// Longest request target that is accepted, in bytes.
const MAX_TARGET_BYTES: usize = 65_534;

/// The target of a create that is `length` bytes long.
fn create_target(id: &str, length: usize) -> String {
    let to_target = |welcome: usize| {
        let query = format!("meetingID={id}&name=Long&welcome={}", "w".repeat(welcome));
        signed_target("create", &query)
    };
    to_target(length - to_target(0).len())
}

#[tokio::test]
async fn the_longest_target_works_on_new_and_on_used_connections() {
    let deployment = start_deployment(1).await;
    let server = &deployment.pool.servers()[0];
    let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
    for id in ["first", "second"] {
        let target = create_target(id, MAX_TARGET_BYTES);
        let response = connection.send_request(&new_request("GET", &target)).await;
        assert_success(&response.unwrap());
        for request in take_requests(server, "create") {
            let form = String::from_utf8(request.body).unwrap();
            let parameters = if form.is_empty() { request.query } else { form };
            let welcome = parameter(&parameters, "welcome").unwrap();
            assert!(welcome.len() > 65_000, "{} bytes", welcome.len());
        }
    }
}

#[tokio::test]
async fn a_form_longer_than_an_upstream_url_reaches_the_server() {
    let deployment = start_deployment(1).await;
    let body = format!("name=Form&welcome={}", "%C3%BC".repeat(40_000));
    let form = "application/x-www-form-urlencoded";
    let response = deployment.product.post("create", "meetingID=f1", form, body.as_bytes());
    assert_success(&response.await.unwrap());
    let request = &take_requests(&deployment.pool.servers()[0], "create")[0];
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", ""));
    let sent = String::from_utf8_lossy(&request.body).into_owned();
    let welcome = parameter(&sent, "welcome").unwrap();
    assert_eq!(welcome, "ü".repeat(40_000));
}

#[tokio::test]
async fn a_long_join_is_redirected_whole() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let style = "s".repeat(64_000);
    let query = format!("meetingID=m1&fullName=A&role=VIEWER&userdata-css={style}");
    let response = deployment.product.call("join", &query).await.unwrap();
    assert_eq!(response.status, 302);
    assert!(response.header("location").unwrap().contains(&style));
}

#[tokio::test]
async fn a_longer_target_is_refused() {
    let deployment = start_deployment(1).await;
    let too_long = "414 URI Too Long";
    // Heads end at 128 KiB.
    let too_large = "431 Request Header Fields Too Large";
    for (length, status) in
        [(MAX_TARGET_BYTES + 1, too_long), (100_000, too_long), (300_000, too_large)]
    {
        let target = create_target("long", length);
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        let head = format!("GET {target} HTTP/1.1\r\nHost: balancer.test\r\n\r\n");
        connection.send(head.as_bytes()).await.unwrap();
        let response = connection.read_to_end().await.unwrap();
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{length}: {response}");
        assert!(response.contains("connection: close\r\n"), "{length}: {response}");
    }
    assert!(deployment.servers_with("long").is_empty());
    assert_success(&create(&deployment.product, "short").await);
}
