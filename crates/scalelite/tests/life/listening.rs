//! Where it can listen, and what it says when it cannot.

use std::os::unix::fs::FileTypeExt as _;

use testkit::product::{API_PATH, ClientConnection, Product, Setup, new_request, wait_until};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::tools::{assert_success, setup};

async fn assert_serves(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = ClientConnection::from_stream(stream);
    let answer = connection.send_request(&new_request("GET", API_PATH)).await.unwrap();
    assert_success(&answer);
}

/// The port in the first line that names one.
async fn logged_port(product: &Product, before: &str) -> u16 {
    let is_there = async || product.log().contains(before) && product.log().contains("data_dir");
    wait_until("listening", is_there).await.unwrap();
    let log = product.log();
    let after = log.split_once(before).unwrap().1;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_socket_of_the_file_system() {
    let setup = setup();
    let path = setup.folder().join("web.sock");
    let bind = format!("unix://{}", path.display());
    let setup = setup.with_setting("BIND", &bind);
    let connects = async || UnixStream::connect(&path).await.is_ok();
    let mut first = setup.spawn().unwrap();
    wait_until("listening", connects).await.unwrap();
    assert_serves(UnixStream::connect(&path).await.unwrap()).await;
    // A second one does not take it away from a living one,
    let mut second = setup.spawn().unwrap();
    assert_eq!(second.wait_for_exit().await.unwrap().code(), Some(1));
    assert_serves(UnixStream::connect(&path).await.unwrap()).await;
    // but from a dead one.
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
async fn one_address_of_the_new_protocol() {
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
async fn one_address_or_all_of_them() {
    for bind in ["tcp://127.0.0.1:0", "127.0.0.1:0"] {
        let product = setup().with_setting("BIND", bind).spawn().unwrap();
        let port = logged_port(&product, "http://127.0.0.1:").await;
        assert_serves(TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await;
    }
    let everywhere = setup().with_setting("BIND", "").with_setting("PORT", "0").spawn().unwrap();
    let port = logged_port(&everywhere, "http://localhost:").await;
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
