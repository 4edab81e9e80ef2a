//! Web servers in front of the API: long URLs, raw characters, error pages, and an end to waiting.

use std::time::Duration;

use bbb_sim::Strictness::Real;
use bbb_sim::{Fault, FaultMode, Latency, WebServerRules};

use crate::client::{get, post, send, signed_target, start_pool, wait_until};

#[tokio::test]
async fn long_urls_are_refused_with_and_without_a_body() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let target = signed_target(server, "create", "meetingID=m1&name=mm");
    let rules = WebServerRules { max_url_bytes: Some(target.len()), ..WebServerRules::NONE };
    server.set_web_server(rules);
    assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.message_key(), "");
    let longer = "meetingID=m2&name=mmm";
    let by_get = get(server, "create", longer).await;
    let by_post = post(server, "create", longer, "application/xml", "<modules/>").await;
    for reply in [by_get, by_post] {
        assert_eq!(reply.status, 414);
        assert!(reply.head.contains("content-type: text/html"));
        assert!(reply.body.contains("<h1>414 Request-URI Too Large</h1>"), "{}", reply.body);
    }
    // What is in a form does not count.
    let form = "application/x-www-form-urlencoded";
    let path = "/bigbluebutton/api/create";
    let checksum = bbb_sim::Algorithm::Sha256.hex_digest(&format!("create{}", server.secret()));
    let body = format!("{longer}&welcome={}&checksum={checksum}", "x".repeat(100_000));
    let head = format!("Content-Type: {form}\r\n");
    let reply = send(server, "POST", path, &head, body.as_bytes()).await.unwrap();
    assert_eq!(reply.message_key(), "");
    assert_eq!((server.meetings().len(), server.log_len()), (2, 4));
    server.set_web_server(WebServerRules::NONE);
    assert_eq!(get(server, "create", longer).await.message_key(), "duplicateWarning");
}

#[tokio::test]
async fn raw_characters_in_the_query_are_refused() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let rules = WebServerRules { refuses_raw_characters: true, ..WebServerRules::NONE };
    for character in ["|", "[", "]", "{", "}", "\\", "^", "`"] {
        let query = format!("meetingID=mm&name=a{character}b");
        server.set_web_server(rules);
        let reply = get(server, "create", &query).await;
        assert_eq!(reply.status, 400, "{character}");
        assert!(reply.body.contains("<h1>HTTP Status 400 – Bad Request</h1>"));
        let escaped = query.replace(character, &format!("%{:02X}", character.as_bytes()[0]));
        assert_eq!(get(server, "create", &escaped).await.message_key(), "", "{character}");
        server.restart();
        server.set_web_server(WebServerRules::NONE);
        assert_eq!(get(server, "create", &query).await.message_key(), "", "{character}");
        server.restart();
    }
    server.set_web_server(WebServerRules::SHIPPED);
    let usual = "meetingID=mm&name=A%20b+c!$'()*,;:@/?~-._=&meta_x=";
    assert_eq!(get(server, "create", usual).await.message_key(), "");
}

#[tokio::test]
async fn error_pages_come_before_or_after_the_effect() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    for (status, title) in [(502, "502 Bad Gateway"), (504, "504 Gateway Time-out")] {
        server.set_fault(Fault::for_calls(FaultMode::ErrorPage(status), &["create"]));
        let reply = get(server, "create", "meetingID=m1&name=mm").await;
        assert_eq!(reply.status, status);
        assert!(reply.body.contains(&format!("<title>{title}</title>")), "{}", reply.body);
        assert_eq!(get(server, "getMeetings", "").await.message_key(), "noMeetings");
        server.set_fault(FaultMode::ErrorPageAfterEffect(status));
        assert_eq!(get(server, "create", "meetingID=m1&name=mm").await.status, status);
        server.clear_fault();
        assert_eq!(server.meetings().len(), 1);
        server.restart();
    }
}

#[tokio::test]
async fn a_web_server_gives_up_waiting_and_the_call_goes_on() {
    let pool = start_pool(1, Real).await;
    let server = pool.server(1);
    let gateway_timeout = Some(Duration::from_millis(1));
    server.set_web_server(WebServerRules { gateway_timeout, ..WebServerRules::NONE });
    server.set_latency(Latency::Fixed(Duration::from_millis(300)));
    let reply = get(server, "create", "meetingID=m1&name=mm").await;
    assert_eq!((reply.status, server.meetings().len()), (504, 0));
    wait_until(|| server.meeting("m1").is_some()).await;
    server.set_fault(FaultMode::Hang);
    assert_eq!(get(server, "getMeetings", "").await.status, 504);
}
