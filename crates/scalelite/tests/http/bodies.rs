//! Request bodies: accepted types, slides that reach the server unchanged, and memory use.

use bbb_sim::RecordedRequest;
use testkit::product::{API_PATH, ClientConnection, DEADLINE, signed_target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::tools::{
    assert_failed, assert_success, create, send, send_chunks, start_deployment,
    start_deployment_with, take_requests,
};

const XML: &str = "<modules><module name=\"presentation\"><document name=\"a.txt\">QQ==</document>\
                   </module></modules>";

fn assert_arrived(request: &RecordedRequest, body: &[u8]) {
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("content-type"), Some("application/xml"));
    assert!(request.body == body, "the body differs");
}

#[tokio::test]
async fn slides_reach_the_server_byte_for_byte() {
    let deployment = start_deployment(1).await;
    let server = &deployment.pool.servers()[0];
    let body = format!("{XML}\r\n<!-- \u{fc} \0 ]]> -->");
    for kind in ["application/xml", "text/xml; charset=UTF-8"] {
        let query = "meetingID=slides&name=Slides";
        let response = deployment.product.post("create", query, kind, body.as_bytes());
        assert_success(&response.await.unwrap());
        assert_arrived(&take_requests(server, "create")[0], body.as_bytes());
    }
    let response = deployment.product.post(
        "insertDocument",
        "meetingID=slides",
        "application/xml",
        body.as_bytes(),
    );
    assert_success(&response.await.unwrap());
    let inserted = &take_requests(server, "insertDocument")[0];
    assert_arrived(inserted, body.as_bytes());
}

#[tokio::test]
async fn five_megabytes_in_chunks_are_streamed() {
    let deployment = start_deployment(1).await;
    // Not a multiple of a buffer size, and longer than what the simulated server keeps.
    let body: Vec<u8> = (0..5_000_003_u32).map(|n| b'A' + (n % 23) as u8).collect();
    let target = signed_target("create", "meetingID=big&name=Big");
    let pieces = body.chunks(60_001);
    let response = send_chunks(&deployment.product, &target, "application/xml", pieces).await;
    assert_success(&response.unwrap());
    let request = &take_requests(&deployment.pool.servers()[0], "create")[0];
    let kept = 1 << 20;
    assert!(request.body == body[..kept]);
    assert_eq!(request.header("transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn a_hundred_mebibytes_do_not_grow_memory() {
    let deployment = start_deployment(1).await;
    // Warm up connections, buffers and statements.
    create(&deployment.product, "warm").await;
    let before = deployment.product.memory_kib("VmHWM").unwrap();
    let piece = vec![b'x'; 1 << 20];
    let target = signed_target("create", "meetingID=huge&name=Huge");
    let pieces = std::iter::repeat_n(piece.as_slice(), 100);
    let response = send_chunks(&deployment.product, &target, "text/xml", pieces).await;
    assert_success(&response.unwrap());
    let after = deployment.product.memory_kib("VmHWM").unwrap();
    let grown = after - before;
    assert!(grown < 20 * 1024, "{grown} KiB more for a body of 100 MiB");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_and_leaves_no_meeting() {
    let deployment = start_deployment_with(1, &[("MAX_BODY_BYTES", "100000")]).await;
    create(&deployment.product, "warm").await;
    let before = deployment.product.memory_kib("VmHWM").unwrap();
    let target = signed_target("create", "meetingID=fat&name=Fat");
    // With a Content-Length, and in chunks whose sum exceeds the limit.
    let body = vec![b'x'; 40_000_000];
    let xml = [("Content-Type", "application/xml")];
    let response = send(&deployment.product, "POST", &target, &xml, Some(&body)).await;
    assert_failed(&response, "requestTooLarge");
    let pieces = body.chunks(50_000);
    let response = send_chunks(&deployment.product, &target, "application/xml", pieces).await;
    assert_failed(&response.unwrap(), "requestTooLarge");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let response = send(&deployment.product, "POST", &target, &form, Some(&body)).await;
    assert_failed(&response, "requestTooLarge");
    assert!(deployment.servers_with("fat").is_empty());
    // A body of exactly the limit is accepted, and the meeting is new.
    let response = send(&deployment.product, "POST", &target, &xml, Some(&body[..100_000]));
    let response = response.await;
    assert_success(&response);
    assert_eq!(response.xml_field("messageKey"), "");
    let grown = deployment.product.memory_kib("VmHWM").unwrap() - before;
    assert!(grown < 20 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn a_content_type_without_a_body_does_not_matter() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let xml = [("Content-Type", "application/xml")];
    let json = [("Content-Type", "application/json"), ("Accept", "*/*")];
    for (call, query) in [
        ("create", "meetingID=m1&name=M1"),
        ("isMeetingRunning", "meetingID=m1"),
        ("getMeetingInfo", "meetingID=m1"),
        ("getMeetings", ""),
    ] {
        let target = signed_target(call, query);
        for headers in [xml.as_slice(), json.as_slice()] {
            assert_success(&send(&deployment.product, "GET", &target, headers, None).await);
            assert_success(&send(&deployment.product, "POST", &target, headers, Some(b"")).await);
        }
        assert_success(&send(&deployment.product, "POST", &target, &[], Some(b"")).await);
    }
    let join = signed_target("join", "meetingID=m1&fullName=A&role=VIEWER");
    let response = send(&deployment.product, "GET", &join, &xml, None).await;
    assert_eq!(response.status, 302);
    let end = signed_target("end", "meetingID=m1");
    assert_success(&send(&deployment.product, "GET", &end, &xml, None).await);
}

#[tokio::test]
async fn bodies_of_other_types_are_refused() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let form = "application/x-www-form-urlencoded";
    for (call, kind, body) in [
        ("end", "application/json", "{}"),
        ("end", "application/xml", XML),
        ("end", "", "x"),
        ("create", "application/json", "{}"),
        ("create", "", XML),
        ("getMeetings", "text/plain", "x"),
        ("insertDocument", "text/plain", XML),
        ("insertDocument", form, "a=b"),
        ("isMeetingRunning", "multipart/form-data", "no boundary"),
    ] {
        let response = deployment.product.post(call, "meetingID=m1", kind, body.as_bytes());
        assert_failed(&response.await.unwrap(), "unsupportedContentType");
    }
    assert_eq!(deployment.servers_with("m1").len(), 1);
}

#[tokio::test]
async fn forms_of_both_kinds_carry_parameters() {
    let deployment = start_deployment(1).await;
    let form = "Application/X-WWW-Form-URLEncoded; charset=utf-8";
    let response = deployment.product.post(
        "create",
        "meetingID=f1",
        form,
        b"name=F+1&meta_x=%C3%BC&name=last",
    );
    assert_success(&response.await.unwrap());
    let meeting = deployment.pool.servers()[0].meetings()[0].clone();
    assert_eq!(meeting.name, "last");
    assert_eq!(meeting.meta, [("x".to_owned(), "ü".to_owned())]);
    let kind = "multipart/form-data; boundary=\"b b\"";
    let parts = "--b b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nMul ti&=\r\n\
                 --b b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.pdf\"\r\n\r\n%\r\n\
                 --b b--\r\n";
    let response = deployment.product.post("create", "meetingID=f2", kind, parts.as_bytes());
    assert_success(&response.await.unwrap());
    assert_eq!(deployment.pool.servers()[0].meetings()[1].name, "Mul ti&=");
}

#[tokio::test]
async fn an_index_by_post_needs_no_checksum() {
    let deployment = start_deployment(0).await;
    let xml = [("Content-Type", "text/plain")];
    assert_success(&send(&deployment.product, "POST", API_PATH, &xml, Some(b"x")).await);
}

#[tokio::test]
async fn expect_100_continue_is_answered() {
    let deployment = start_deployment(1).await;
    let form = "application/x-www-form-urlencoded";
    for (n, (kind, body)) in
        [("text/xml", XML), (form, "name=A&welcome=B"), (form, "NAME")].into_iter().enumerate()
    {
        let target = signed_target("create", &format!("meetingID=e-{n}&name=Expect"));
        let length = body.len();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        );
        let stream = TcpStream::connect(("127.0.0.1", deployment.product.port())).await;
        let mut stream = stream.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).await.unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut connection = ClientConnection::from_stream(stream);
        let response = timeout(DEADLINE, connection.read_response("POST")).await;
        assert_success(&response.expect(body).unwrap());
    }
}
