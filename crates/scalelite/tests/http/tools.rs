//! Helpers of the tests in this directory.

use bbb_sim::{Algorithm, BbbServer, RecordedRequest};
use serde_json::Value;
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{ClientConnection, ClientResponse, Product, SECRET, exchange, new_request};

/// Starts a balancer with `servers` simulated BBB servers.
pub(crate) async fn start_deployment(servers: usize) -> TestDeployment {
    start_deployment_with(servers, &[]).await
}

/// Starts a balancer with settings and simulated BBB servers.
pub(crate) async fn start_deployment_with(
    servers: usize,
    settings: &[(&str, &str)],
) -> TestDeployment {
    let binary = env!("CARGO_BIN_EXE_scalelite");
    TestDeployment::new(binary, servers, settings).await.unwrap()
}

/// Returns the checksum of a call with a raw query.
pub(crate) fn digest(algorithm: Algorithm, call: &str, query: &str) -> String {
    algorithm.hex_digest(&format!("{call}{query}{SECRET}"))
}

/// Asserts that a response is a success of the BBB API.
#[track_caller]
pub(crate) fn assert_success(response: &ClientResponse) {
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.xml_field("returncode"), "SUCCESS", "{}", response.text());
}

/// Asserts that a response is a failure of the BBB API with this key.
#[track_caller]
pub(crate) fn assert_failed(response: &ClientResponse, key: &str) {
    let text = response.text();
    assert_eq!(response.status, 200, "{text}");
    assert_eq!(response.xml_field("returncode"), "FAILED", "{text}");
    assert_eq!(response.xml_field("messageKey"), key, "{text}");
    let header = response.header("content-type");
    assert_eq!(header, Some("application/xml; charset=utf-8"));
}

/// Sends a request with headers besides `Host`.
pub(crate) async fn send(
    product: &Product,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> ClientResponse {
    let mut request = new_request(method, target);
    let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    request.headers.extend(headers);
    request.body = body.map(Into::into);
    exchange(product.port(), &request).await.unwrap()
}

/// Sends a POST with a chunked body, one chunk for each piece.
pub(crate) async fn send_chunks(
    product: &Product,
    target: &str,
    content_type: &str,
    pieces: impl Iterator<Item = &[u8]>,
) -> anyhow::Result<ClientResponse> {
    let mut connection = ClientConnection::open(product.port()).await?;
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: balancer.test\r\nContent-Type: {content_type}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    connection.send(head.as_bytes()).await?;
    for piece in pieces {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        connection.send(&chunk).await?;
    }
    connection.send(b"0\r\n\r\n").await?;
    connection.read_response("POST").await
}

/// Creates a meeting, or repeats its create; asserts success.
pub(crate) async fn create(product: &Product, id: &str) -> ClientResponse {
    let query = format!("meetingID={id}&name=Meeting+{id}");
    let response = product.call("create", &query).await.unwrap();
    assert_success(&response);
    response
}

/// Removes and returns the requests of a call from a server's log; clears the log.
pub(crate) fn take_requests(server: &BbbServer, call: &str) -> Vec<RecordedRequest> {
    let mut log = server.take_log();
    log.retain(|request| request.call == call);
    log
}

/// Returns the decoded value of a parameter; asserts that it is not repeated.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value.into_owned());
    assert_eq!(values.next(), None, "{name} is repeated in {query}");
    value
}

/// Returns the callbacks that are not delivered yet, as the command line lists them.
pub(crate) async fn list_outbox(deployment: &TestDeployment) -> Vec<Value> {
    let output =
        process::run(deployment.product.setup(), &["callbacks", "list", "--json"]).await.unwrap();
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    serde_json::from_str(&output.stdout).unwrap()
}
