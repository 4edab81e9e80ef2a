//! Requests longer than HTTP libraries like: whole welcome texts and JSON in a query.

use testkit::product::{ClientConnection, new_request, signed_target};

use crate::tools::{assert_success, create, parameter, start_deployment, take_requests};

fn long_query(id: &str, length: usize) -> String {
    format!("meetingID={id}&name=Long&welcome={}", "w".repeat(length))
}

#[tokio::test]
async fn long_queries_work_on_new_and_on_used_connections() {
    let world = start_deployment(1).await;
    let server = &world.pool.servers()[0];
    for (id, length) in [("l6", 60_000), ("l9", 64_900), ("l10", 100_000), ("l20", 200_000)] {
        let query = long_query(id, length);
        assert_success(&world.product.call("create", &query).await.unwrap());
        let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
        for short in [true, false] {
            let target = if short {
                signed_target("getMeetings", "")
            } else {
                signed_target("create", &query)
            };
            let answer = connection.send_request(&new_request("GET", &target)).await;
            assert_success(&answer.unwrap());
        }
        for request in take_requests(server, "create") {
            let form = String::from_utf8(request.body).unwrap();
            let given = if form.is_empty() { request.query } else { form };
            let welcome = parameter(&given, "welcome").unwrap();
            assert_eq!(welcome.len(), length);
        }
    }
}

#[tokio::test]
async fn a_form_longer_than_an_upstream_url_reaches_the_server() {
    let world = start_deployment(1).await;
    let body = format!("name=Form&welcome={}", "%C3%BC".repeat(40_000));
    let form = "application/x-www-form-urlencoded";
    let answer = world.product.post("create", "meetingID=f1", form, body.as_bytes());
    assert_success(&answer.await.unwrap());
    let request = &take_requests(&world.pool.servers()[0], "create")[0];
    assert_eq!((request.method.as_str(), request.query.as_str()), ("POST", ""));
    let sent = String::from_utf8_lossy(&request.body).into_owned();
    let welcome = parameter(&sent, "welcome").unwrap();
    assert_eq!(welcome, "ü".repeat(40_000));
}

#[tokio::test]
async fn a_long_join_is_redirected_whole() {
    let world = start_deployment(1).await;
    create(&world.product, "m1").await;
    let style = "s".repeat(70_000);
    let query = format!("meetingID=m1&fullName=A&role=VIEWER&userdata-css={style}");
    let answer = world.product.call("join", &query).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(answer.header("location").unwrap().contains(&style));
}

#[tokio::test]
async fn a_long_query_after_a_body_works() {
    let world = start_deployment(1).await;
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    let mut upload = new_request("POST", &signed_target("create", "meetingID=u1&name=Upload"));
    let kind = ("Content-Type".to_owned(), "text/xml".to_owned());
    upload.headers.push(kind);
    upload.body = Some(b"<modules/>\nGET / HTTP/1.1\n".to_vec());
    assert_success(&connection.send_request(&upload).await.unwrap());
    let target = signed_target("create", &long_query("u2", 100_000));
    let answer = connection.send_request(&new_request("GET", &target)).await;
    assert_success(&answer.unwrap());
}

#[tokio::test]
async fn there_is_an_end_to_length() {
    let world = start_deployment(1).await;
    let target = signed_target("create", &long_query("l", 300_000));
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    let answer = connection.send_request(&new_request("GET", &target)).await.unwrap();
    assert_eq!(answer.status, 414);
    assert_success(&create(&world.product, "short").await);
}
