//! Uploads of archives by HTTP, as BigBlueButton servers send them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bbb::token::{TokenAlgorithm, sign};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::product::{
    ClientConnection, ClientResponse, Product, exchange, new_request, wait_until,
};
use testkit::samples::SampleRecording;

use crate::tools::{
    add_server, add_server_named, file_names, put_in_spool, recording_row, set_server_state, setup,
    visibility_of, wait_until_imported,
};

pub(crate) const SECRET: &str = "secret-of-the-server";

/// Names and values of headers.
type Headers<'a> = &'a [(&'a str, &'a str)];

fn sign_token(claims: Value, secret: &str) -> String {
    sign(claims.as_object().unwrap(), secret, TokenAlgorithm::Hs256).unwrap()
}

/// The time in this number of seconds, as seconds since 1970.
fn seconds_from_now(seconds: i64) -> i64 {
    use app::ports::Clock as _;
    adapters::entropy::SystemClock.now().0 / 1000 + seconds
}

fn valid_token(sample: &SampleRecording) -> String {
    valid_token_of(sample, SECRET)
}

fn valid_token_of(sample: &SampleRecording, secret: &str) -> String {
    let claims =
        json!({ "aud": "scalelite-upload", "sub": sample.record_id, "exp": seconds_from_now(500) });
    sign_token(claims, secret)
}

/// Uploads an archive as the server with this secret; returns the status and the body.
async fn upload_as(
    product: &Product,
    secret: &str,
    sample: &SampleRecording,
    archive: &[u8],
) -> (u16, String) {
    let bearer = format!("Bearer {}", valid_token_of(sample, secret));
    let headers = [("Authorization", bearer.as_str()), ("Repr-Digest", &digest(archive))];
    let response = send_upload(product, "PUT", sample, &headers, Some(archive)).await;
    (response.status, response.text())
}

pub(crate) fn digest(archive: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(archive)))
}

fn upload_target(sample: &SampleRecording) -> String {
    format!("/scalelite/recordings/upload/{}", sample.record_id)
}

pub(crate) async fn send_upload(
    product: &Product,
    method: &str,
    sample: &SampleRecording,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> ClientResponse {
    let mut request = new_request(method, &upload_target(sample));
    let bearer = format!("Bearer {}", valid_token(sample));
    let has_authorization = headers.iter().any(|(name, _)| *name == "Authorization");
    let bearer = [("Authorization", bearer.as_str())];
    let all = headers.iter().chain(bearer.iter().filter(|_| !has_authorization));
    request.headers.extend(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    request.body = body.map(<[u8]>::to_vec);
    exchange(product.port(), &request).await.unwrap()
}

async fn start_product() -> Product {
    let product = setup().start().await.unwrap();
    add_server(&product, SECRET).await;
    product
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_in_one_request_is_imported_and_may_be_sent_again() {
    let product = start_product().await;
    let sample = SampleRecording::new(1);
    let archive = sample.archive(&["video", "notes"]);
    for header in ["Repr-Digest", "Content-Digest"] {
        let digest = digest(&archive);
        let response =
            send_upload(&product, "PUT", &sample, &[(header, &digest)], Some(&archive)).await;
        assert_eq!(response.status, 201, "{}", response.text());
        assert_eq!(response.text(), format!("{{\"received\":{}}}", archive.len()));
        wait_until_imported(product.setup()).await;
        assert_eq!(visibility_of(product.setup(), &sample, "video"), Some("published"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_continues_where_it_was_interrupted() {
    let product = start_product().await;
    let sample = SampleRecording::new(2);
    let archive = sample.archive(&["podcast"]);
    let (total, digest) = (archive.len().to_string(), digest(&archive));
    // A sender that closes the connection during the upload.
    let mut connection = ClientConnection::open(product.port()).await.unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: balancer.test\r\nAuthorization: Bearer {}\r\nRepr-Digest: {digest}\r\n\
         Content-Length: {total}\r\n\r\n",
        upload_target(&sample),
        valid_token(&sample)
    );
    connection.send(head.as_bytes()).await.unwrap();
    connection.send(&archive[..7000]).await.unwrap();
    drop(connection);
    let has_part = async || {
        let response = send_upload(&product, "HEAD", &sample, &[], None).await;
        assert_eq!((response.status, response.body.len()), (200, 0));
        response.header("upload-offset") == Some("7000")
    };
    wait_until("the first part is stored", has_part).await.unwrap();
    let length = ("Upload-Length", total.as_str());
    let wrong_offset = [length, ("Upload-Offset", "6000"), ("Repr-Digest", &digest)];
    let response =
        send_upload(&product, "PATCH", &sample, &wrong_offset, Some(&archive[6000..])).await;
    assert_eq!((response.status, response.header("upload-offset")), (409, Some("7000")));
    let next = [length, ("Upload-Offset", "7000"), ("Repr-Digest", &digest)];
    let response = send_upload(&product, "PATCH", &sample, &next, Some(&archive[7000..9000])).await;
    assert_eq!((response.status, response.header("upload-offset")), (202, Some("9000")));
    assert!(file_names(&product.setup().folder().join("spool"))[0].starts_with(".upload-"));
    let range = format!("bytes 9000-{}/{total}", archive.len() - 1);
    let rest = [("Content-Range", range.as_str()), ("Repr-Digest", &digest)];
    let response = send_upload(&product, "PUT", &sample, &rest, Some(&archive[9000..])).await;
    assert_eq!(response.status, 201, "{}", response.text());
    wait_until_imported(product.setup()).await;
    let is_imported = async || visibility_of(product.setup(), &sample, "podcast").is_some();
    wait_until("imported", is_imported).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_servers_of_the_pool_may_upload_and_only_what_their_token_names() {
    let product = start_product().await;
    let sample = SampleRecording::new(3);
    let other = SampleRecording::new(4).record_id;
    let claims = |aud: &str, sub: &str, exp: i64| json!({ "aud": aud, "sub": sub, "exp": seconds_from_now(exp) });
    let id = sample.record_id.as_str();
    let tokens = [
        sign_token(claims("scalelite-upload", id, 500), "another secret"),
        sign_token(claims("scalelite-upload", id, -1), SECRET),
        sign_token(claims("scalelite-upload", id, 3600), SECRET),
        sign_token(claims("scalelite-upload", &other, 500), SECRET),
        sign_token(claims("analytics", id, 500), SECRET),
        sign_token(json!({ "aud": "scalelite-upload", "sub": id }), SECRET),
        "eyJhbGciOiJub25lIn0.e30.".to_owned(),
        String::new(),
    ];
    for token in tokens {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Repr-Digest", &digest(b"x"))];
        for (method, body) in [("PUT", Some(&b"x"[..])), ("HEAD", None)] {
            let response = send_upload(&product, method, &sample, &headers, body).await;
            assert_eq!(response.status, 401, "{method} {token}");
            assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        }
    }
    assert!(file_names(&product.setup().folder().join("spool")).is_empty());
    assert!(!product.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_reported_in_json() {
    let setup = setup().with_setting("RECORDING_UPLOAD_MAX_BYTES", "1024");
    let product = setup.start().await.unwrap();
    add_server(&product, SECRET).await;
    let sample = SampleRecording::new(5);
    let wrong = digest(b"other");
    let too_long =
        [("Repr-Digest", wrong.as_str()), ("Upload-Length", "1025"), ("Upload-Offset", "0")];
    let beyond = [("Repr-Digest", wrong.as_str()), ("Upload-Length", "2"), ("Upload-Offset", "0")];
    let cases: [(&str, Headers<'_>, u16); 6] = [
        ("PUT", &[], 400),
        ("PUT", &[("Repr-Digest", &wrong)], 422),
        ("PUT", &too_long, 413),
        ("PATCH", &beyond, 413),
        ("PUT", &[("Content-Range", "bytes x"), ("Repr-Digest", &wrong)], 400),
        ("DELETE", &[], 405),
    ];
    for (method, headers, status) in cases {
        let response = send_upload(&product, method, &sample, headers, Some(b"abc")).await;
        assert_eq!(response.status, status, "{method} {headers:?} {}", response.text());
        let error: Value = serde_json::from_str(&response.text()).unwrap();
        assert!(error["error"].is_string());
    }
    let strange = SampleRecording { record_id: "..%2f..".to_owned(), ..SampleRecording::new(6) };
    assert_eq!(send_upload(&product, "PUT", &strange, &[], Some(b"abc")).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_server_may_not_upload_and_a_cordoned_one_may() {
    let product = setup().start().await.unwrap();
    let id = add_server_named(&product, "bbb1.test", SECRET).await;
    let sample = SampleRecording::new(11);
    let archive = sample.archive(&["video"]);
    set_server_state(&product, &id, "disable").await;
    let (status, text) = upload_as(&product, SECRET, &sample, &archive).await;
    assert_eq!((status, text.as_str()), (409, "{\"error\":\"the server is disabled\"}"));
    set_server_state(&product, &id, "cordon").await;
    assert_eq!(upload_as(&product, SECRET, &sample, &archive).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_replaces_no_recording_that_another_one_or_rsync_has_sent() {
    let product = start_product().await;
    add_server_named(&product, "hostile.test", "hostile-secret").await;
    let setup = product.setup();
    let (uploaded, synced) = (SampleRecording::new(12), SampleRecording::new(13));
    let archive = uploaded.archive(&["video"]);
    assert_eq!(upload_as(&product, SECRET, &uploaded, &archive).await.0, 201);
    put_in_spool(setup, &format!("{}.tar", synced.record_id), &synced.archive(&["video"]));
    wait_until_imported(setup).await;
    let before = [recording_row(setup, &uploaded).await, recording_row(setup, &synced).await];
    assert!(before.iter().all(Option::is_some));
    for sample in [&uploaded, &synced] {
        let archive = sample.archive(&["video", "notes"]);
        let (status, text) = upload_as(&product, "hostile-secret", sample, &archive).await;
        assert_eq!(status, 409, "{text}");
        assert!(text.contains("not uploaded by this server"), "{text}");
    }
    assert!(file_names(&setup.folder().join("spool")).is_empty());
    let after = [recording_row(setup, &uploaded).await, recording_row(setup, &synced).await];
    assert_eq!(before, after);
    // The server that uploaded it adds a format.
    let archive = uploaded.archive(&["notes"]);
    assert_eq!(upload_as(&product, SECRET, &uploaded, &archive).await.0, 201);
    wait_until_imported(setup).await;
    let added = async || visibility_of(setup, &uploaded, "notes").is_some();
    wait_until("the format is added", added).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_stall_keep_no_other_server_out() {
    let product = start_product().await;
    let mut connections = Vec::new();
    for n in 0..5 {
        let secret = format!("hostile-{n}");
        add_server_named(&product, &format!("hostile{n}.test"), &secret).await;
        for upload in 0..5 {
            let sample = SampleRecording::new(100 + 10 * n + upload);
            let mut connection = ClientConnection::open(product.port()).await.unwrap();
            let head = format!(
                "PUT {} HTTP/1.1\r\nHost: balancer.test\r\nAuthorization: Bearer {}\r\n\
                 Repr-Digest: {}\r\nContent-Length: 1000\r\n\r\nx",
                upload_target(&sample),
                valid_token_of(&sample, &secret),
                digest(b"x"),
            );
            connection.send(head.as_bytes()).await.unwrap();
            connections.push(connection);
        }
    }
    let spool = product.setup().folder().join("spool");
    let stalled = async || file_names(&spool).len() >= 16;
    wait_until("all places are taken", stalled).await.unwrap();
    let sample = SampleRecording::new(14);
    let (status, text) = upload_as(&product, SECRET, &sample, &sample.archive(&["video"])).await;
    assert_eq!(status, 201, "{text}");
    let hostile = SampleRecording::new(15);
    let (status, text) = upload_as(&product, "hostile-0", &hostile, b"x").await;
    assert_eq!(status, 503, "{text}");
    drop(connections);
}
