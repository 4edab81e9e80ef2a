//! Paths and methods: every path has its handler, no path redirects, and unknown paths get a
//! response that BBB clients can read.

use bbb_sim::Algorithm;
use testkit::product::{API_PATH, ClientConnection, SECRET, signed_target};

use crate::tools::{
    assert_failed, assert_success, create, digest, parameter, send, start_deployment,
    start_deployment_with, take_requests,
};

#[tokio::test]
async fn the_version_document_needs_no_checksum() {
    let deployment = start_deployment(0).await;
    let valid = Algorithm::Sha1.hex_digest(SECRET);
    for target in [
        API_PATH.to_owned(),
        format!("{API_PATH}/"),
        format!("{API_PATH}?"),
        format!("{API_PATH}/?&checksum={valid}"),
        format!("{API_PATH}/?&checksum=wrong"),
        format!("{API_PATH}?checksum=1&checksum=2"),
        "//bigbluebutton//api//".to_owned(),
        "/bigbluebutton".to_owned(),
        "/bigbluebutton/".to_owned(),
        format!("{API_PATH}/api"),
        format!("{API_PATH}/api/"),
    ] {
        let response = deployment.product.get(&target).await.unwrap();
        assert_success(&response);
        assert_eq!(response.xml_field("version"), "2.0", "{target}");
        assert_eq!(response.xml_field("apiVersion"), "2.0", "{target}");
        let header = response.header("content-type");
        assert_eq!(header, Some("application/xml; charset=utf-8"));
    }
    let head = send(&deployment.product, "HEAD", API_PATH, &[], None).await;
    assert_eq!(head.status, 200);
    let length = head.header("content-length").unwrap();
    let get = deployment.product.get(API_PATH).await.unwrap();
    assert_eq!(length, get.body.len().to_string());
}

#[tokio::test]
async fn the_build_number_is_shown() {
    let deployment = start_deployment_with(0, &[("BUILD_NUMBER", "a<b")]).await;
    let response = deployment.product.get(API_PATH).await.unwrap();
    assert!(response.text().contains("<build>a&lt;b</build>"));
}

#[tokio::test]
async fn greenlights_health_check_is_answered() {
    let deployment = start_deployment(1).await;
    let sum = digest(Algorithm::Sha1, "isMeetingRunning", "meetingID=0");
    let target = format!("{API_PATH}/isMeetingRunning?meetingID=0&checksum={sum}");
    let response = deployment.product.get(&target).await.unwrap();
    assert_success(&response);
    assert_eq!(response.xml_field("running"), "false");
}

#[tokio::test]
async fn doubled_and_trailing_slashes_do_not_redirect() {
    let deployment = start_deployment(1).await;
    let query = "meetingID=slash&name=Slash";
    let sum = digest(Algorithm::Sha256, "create", query);
    for path in [
        "/bigbluebutton/api//create",
        "/bigbluebutton/api/create/",
        "//bigbluebutton//api/create//",
        "/bigbluebutton/api/api/create",
    ] {
        let target = format!("{path}?{query}&checksum={sum}");
        assert_success(&deployment.product.get(&target).await.unwrap());
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_unsupported_requests() {
    let deployment = start_deployment(1).await;
    for path in [
        "/nothing",
        "/bigbluebutton/api/api/api",
        "/bigbluebutton/Create",
        "/bigbluebutton/api/Create",
        "/bigbluebutton/api/hooks/list",
        "/bigbluebutton/api/setConfigXML",
        "/bigbluebutton/api/getDefaultConfigXML",
        "/bigbluebutton/api/create/more",
        "/bigbluebutton/api/../api",
        "/bigbluebutton/api/%63reate",
        "/scalelite/api/nothing",
    ] {
        let response = deployment.product.get(path).await.unwrap();
        assert_failed(&response, "unsupportedRequest");
    }
    let target = signed_target("create", "meetingID=m1&name=M1");
    for method in ["PUT", "OPTIONS", "DELETE", "PATCH", "TRACE", "BREW"] {
        for target in [target.as_str(), API_PATH, "/nothing"] {
            let response = send(&deployment.product, method, target, &[], None).await;
            assert_failed(&response, "unsupportedRequest");
        }
    }
    let insert = deployment.product.call("insertDocument", "meetingID=m1");
    assert_failed(&insert.await.unwrap(), "unsupportedRequest");
    assert!(deployment.pool.servers()[0].meetings().is_empty());
}

#[tokio::test]
async fn a_host_name_may_be_configured_as_an_address() {
    let deployment =
        start_deployment_with(0, &[("URL_HOST", "https://lb.example.test:8443/")]).await;
    for (host, status) in [
        ("lb.example.test", 200),
        ("LB.example.test:8443", 200),
        ("lb.example.test:80", 200),
        ("other.example.test", 403),
    ] {
        let mut request = testkit::product::new_request("GET", API_PATH);
        request.headers = vec![("Host".to_owned(), host.to_owned())];
        let response = deployment.product.send(&request).await.unwrap();
        assert_eq!(response.status, status, "{host}");
    }
    assert!(deployment.product.log().contains("lb.example.test:8443 is used"));
}

#[tokio::test]
async fn calls_of_a_session_are_refused_as_their_callers_parse_it() {
    let deployment = start_deployment(0).await;
    for (call, is_json) in [
        ("getJoinUrl", true),
        ("learningDashboard", true),
        ("guestWait", true),
        ("feedback", true),
        ("signOut", false),
    ] {
        let target = format!("{API_PATH}/{call}?sessionToken=abc");
        for method in ["GET", "POST"] {
            let response = send(&deployment.product, method, &target, &[], None).await;
            if !is_json {
                assert_failed(&response, "unsupportedRequest");
                continue;
            }
            let header = response.header("content-type").unwrap();
            assert!(response.status == 200 && header.starts_with("application/json"), "{header}");
            let json: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
            let json = &json["response"];
            assert_eq!(json["returncode"], "FAILED", "{call}");
            assert_eq!(json["messageKey"], "unsupportedRequest", "{call}");
            assert!(json["message"].as_str().unwrap().contains("session"), "{call}");
        }
        let put = send(&deployment.product, "PUT", &target, &[], None).await;
        assert_failed(&put, "unsupportedRequest");
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_a_body() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    for (call, query) in [("getMeetings", ""), ("getMeetingInfo", "meetingID=m1")] {
        let head = send(&deployment.product, "HEAD", &signed_target(call, query), &[], None).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
    let health = send(&deployment.product, "HEAD", "/health_check", &[], None).await;
    assert_eq!(health.status, 200);
}

#[tokio::test]
async fn health_is_plain_text() {
    let deployment = start_deployment(0).await;
    for path in ["/health_check", "/", "/health_check/"] {
        let response = deployment.product.get(path).await.unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "success"));
        let header = response.header("content-type").unwrap();
        assert!(header.starts_with("text/plain"));
    }
}

#[tokio::test]
async fn only_the_named_host_is_served() {
    let deployment = start_deployment_with(0, &[("URL_HOST", "Balancer.test")]).await;
    // The requests of the tests name this host.
    assert_success(&deployment.product.get(API_PATH).await.unwrap());
    let request = |host: &str| {
        let mut request = testkit::product::new_request("GET", API_PATH);
        request.headers = vec![("Host".to_owned(), host.to_owned())];
        request
    };
    for (host, status) in [
        ("BALANCER.TEST:8443", 200),
        ("other.test", 403),
        ("sub.balancer.test", 403),
        ("balancer.test.evil", 403),
        ("", 403),
    ] {
        let response = testkit::product::exchange(deployment.product.port(), &request(host)).await;
        assert_eq!(response.unwrap().status, status, "{host}");
    }
    let mut health = request("other.test");
    health.target = "/health_check".to_owned();
    let response = testkit::product::exchange(deployment.product.port(), &health).await;
    assert_eq!(response.unwrap().status, 200);
}

#[tokio::test]
async fn a_servers_url_may_end_in_a_slash() {
    let deployment = start_deployment(0).await;
    let mut pool = bbb_sim::BbbPool::start(bbb_sim::PoolOptions::default()).await;
    let server = pool.as_mut().unwrap().add_server().await.unwrap();
    let url = format!("{}/", server.url());
    deployment.product.add_server(&url, &server.secret()).await.unwrap();
    create(&deployment.product, "m1").await;
    let info = deployment.product.call("getMeetingInfo", "meetingID=m1");
    assert_success(&info.await.unwrap());
    let join = deployment.product.call("join", "meetingID=m1&fullName=A&role=VIEWER");
    let join = join.await.unwrap();
    let location = join.header("location").unwrap();
    assert!(location.starts_with(&format!("{}/join?", server.url())), "{location}");
    for request in take_requests(&server, "create") {
        assert_eq!(request.path, "/bigbluebutton/api/create");
    }
}

#[tokio::test]
async fn unusual_forms_of_requests_are_answered() {
    let deployment = start_deployment(1).await;
    let target = signed_target("getMeetings", "");
    for head in [
        format!("GET {target} HTTP/1.0\r\n\r\n"),
        format!("GET {target} HTTP/1.1\nHost: a\nConnection: close\n\n"),
        format!("\r\nGET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        format!("GET http://other.test{target} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n"),
    ] {
        let mut connection = ClientConnection::open(deployment.product.port()).await.unwrap();
        connection.send(head.as_bytes()).await.unwrap();
        assert_success(&connection.read_response("GET").await.unwrap());
    }
}

#[tokio::test]
async fn unencoded_characters_are_verified_as_sent() {
    let deployment = start_deployment(1).await;
    for (query, name, value) in [
        ("meetingID=r1&name=R1&groups=[{'id':'a|b^`'}]", "groups", "[{'id':'a|b^`'}]"),
        ("meetingID=r2&name=R2&welcome=\u{fc}\u{1F600}", "welcome", "\u{fc}\u{1F600}"),
        ("meetingID=r3&name=R3&welcome=it's(~)*!$,;:@/?", "welcome", "it's(~)*!$,;:@/?"),
    ] {
        assert_success(&deployment.product.call("create", query).await.unwrap());
        let sent = &take_requests(&deployment.pool.servers()[0], "create")[0].query;
        assert_eq!(parameter(sent, name).as_deref(), Some(value));
    }
}
