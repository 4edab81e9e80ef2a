//! Tests of listening: on sockets, addresses and ports, and errors if that is impossible.

use std::os::unix::fs::FileTypeExt as _;

use testkit::product::{API_PATH, ClientConnection, Product, Setup, new_request, wait_until};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::tools::{assert_success, setup};

async fn assert_serves(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = ClientConnection::from_stream(stream);
    let response = connection.send_request(&new_request("GET", API_PATH)).await.unwrap();
    assert_success(&response);
}

/// The port that follows this prefix in the log.
async fn logged_port(product: &Product, prefix: &str) -> u16 {
    let is_logged =
        async || product.log().contains(prefix) && product.log().contains("state_store");
    wait_until("listening", is_logged).await.unwrap();
    let log = product.log();
    let text = log.split_once(prefix).unwrap().1;
    let digits = text.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[tokio::test]
async fn only_the_socket_of_a_dead_process_is_replaced() {
    let setup = setup();
    let path = setup.folder().join("web.sock");
    let bind = format!("unix://{}", path.display());
    let setup = setup.with_setting("BIND", &bind);
    let connects = async || UnixStream::connect(&path).await.is_ok();
    let mut first = setup.spawn().unwrap();
    wait_until("listening", connects).await.unwrap();
    assert_serves(UnixStream::connect(&path).await.unwrap()).await;
    // A second process does not replace the socket of a running one.
    let mut second = setup.spawn().unwrap();
    assert_eq!(second.wait_for_exit().await.unwrap().code(), Some(1));
    assert_serves(UnixStream::connect(&path).await.unwrap()).await;
    // A third one replaces the socket of a dead one.
    first.kill().await.unwrap();
    let kind = std::fs::metadata(&path).unwrap().file_type();
    assert!(kind.is_socket());
    let mut third = setup.spawn().unwrap();
    wait_until("listening again", connects).await.unwrap();
    assert_serves(UnixStream::connect(&path).await.unwrap()).await;
    third.terminate().await.unwrap();
    assert_eq!(third.wait_for_exit().await.unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[tokio::test]
async fn it_listens_on_one_ipv6_address() {
    if TcpListener::bind("[::1]:0").await.is_err() {
        println!("skipped: this machine has no ::1");
        return;
    }
    let setup = setup().with_setting("BIND", "[::1]").with_setting("PORT", "0");
    let product = setup.spawn().unwrap();
    let port = logged_port(&product, "http://[::1]:").await;
    assert_serves(TcpStream::connect(("::1", port)).await.unwrap()).await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn it_listens_on_one_address_or_all() {
    for bind in ["tcp://127.0.0.1:0", "127.0.0.1:0"] {
        let product = setup().with_setting("BIND", bind).spawn().unwrap();
        let port = logged_port(&product, "http://127.0.0.1:").await;
        assert_serves(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await;
    }
    let product = setup().with_setting("BIND", "").with_setting("PORT", "0").spawn().unwrap();
    let port = logged_port(&product, "http://localhost:").await;
    assert_serves(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await;
}

#[tokio::test]
async fn a_port_in_use_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup: Setup = setup().with_setting("BIND", &address);
    let mut product = setup.spawn().unwrap();
    let status = product.wait_for_exit().await.unwrap();
    assert_eq!(status.code(), Some(1));
    let log = product.log();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 1, "{log}");
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(lines[0].contains(&port) && lines[0].contains("in use"), "{log}");
}
