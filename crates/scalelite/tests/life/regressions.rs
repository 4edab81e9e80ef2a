//! Regression tests of start and stop: files mistaken for sockets, creates aborted because the client
//! disconnected, a log that is not read, a full disk.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::{
    API_PATH, ClientConnection, DEADLINE, Product, Setup, exchange, new_request, signed_target,
    wait_until,
};
use testkit::small_disk::SmallDisk;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

use crate::store::try_create;
use crate::tools::{assert_success, create_query, setup, start_deployment, start_pool};

fn setup_bound_to(path: &Path) -> Setup {
    setup().with_setting("BIND", &format!("unix://{}", path.display()))
}

/// Asserts that the process exits with an error that names the path.
async fn assert_refused(path: &Path) {
    let mut product = setup_bound_to(path).spawn().unwrap();
    assert_eq!(product.wait_for_exit().await.unwrap().code(), Some(1));
    let log = product.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(&path.display().to_string()), "{log}");
}

#[tokio::test]
async fn a_file_is_not_mistaken_for_a_socket() {
    let setup = setup();
    let path = setup.folder().join("notes.txt");
    std::fs::write(&path, "important notes").unwrap();
    assert_refused(&path).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "important notes");
    // The same through a link.
    let link = setup.folder().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_refused(&link).await;
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "important notes");
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let setup = setup();
    let path = setup.folder().join("some.sock");
    let listener = UnixListener::bind(&path).unwrap();
    assert_refused(&path).await;
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "the socket is replaced");
    drop(listener);
    assert!(path.exists(), "the file of the socket remains");
    let product = setup_bound_to(&path).spawn().unwrap();
    let connects = async || UnixStream::connect(&path).await.is_ok();
    wait_until("listening", connects).await.unwrap();
    let mut connection = ClientConnection::from_stream(UnixStream::connect(&path).await.unwrap());
    assert_success(&connection.send_request(&new_request("GET", API_PATH)).await.unwrap());
    drop(product);
}

#[tokio::test]
async fn the_end_waits_for_a_create_whose_client_left() {
    let mut world = start_deployment(1, &[]).await;
    let server = world.pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(2)));
    let _ = server.take_log();
    let target = signed_target("create", &create_query("left"));
    let mut connection = ClientConnection::open(world.product.port()).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.send(head.as_bytes()).await.unwrap();
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    drop(connection);
    let noticed = async || world.product.log().contains("client gone");
    wait_until("noticed", noticed).await.unwrap();
    assert!(server.meetings().is_empty(), "the create ended too early");
    world.product.terminate().await.unwrap();
    assert_eq!(world.product.wait_for_exit().await.unwrap().code(), Some(0));
    assert!(world.product.log().contains("completed after the client disconnected"));
    assert_eq!(server.meetings().len(), 1);
    server.set_latency(Latency::None);
    world.product.restart().await.unwrap();
    let info = world.product.call("getMeetingInfo", "meetingID=left");
    assert_success(&info.await.unwrap());
}

/// Reads the log up to the line with the port.
async fn read_port(log: &mut BufReader<ChildStderr>) -> u16 {
    let reading = async {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(log.read_line(&mut line).await.unwrap() > 0, "serve ended");
            if let Some(port) = parse_port(&line) {
                return port;
            }
        }
    };
    timeout(DEADLINE, reading).await.expect("not listening")
}

fn parse_port(log: &str) -> Option<u16> {
    let (_, text) = log.split_once("http://127.0.0.1:")?;
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    text.contains('\n').then(|| digits.parse().ok()).flatten()
}

#[tokio::test]
async fn a_log_that_is_not_read_does_not_delay_the_stop() {
    let setup = setup().with_setting("LOG_LEVEL", "debug");
    let mut command = setup.command();
    command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The pipe is read up to the port, and then only kept open.
    let mut log = BufReader::with_capacity(1, child.stderr.take().unwrap());
    let port = read_port(&mut log).await;
    let mut connection = ClientConnection::open(port).await.unwrap();
    // A pipe holds 64 KiB; each request writes a line with its meeting.
    let info =
        new_request("GET", &signed_target("getMeetingInfo", &create_query(&"x".repeat(128))));
    for _ in 0..3_000 {
        let response = timeout(DEADLINE, connection.send_request(&info)).await;
        assert_eq!(response.expect("the log blocks requests").unwrap().status, 200);
    }
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    let ended = timeout(Duration::from_secs(5), child.wait()).await;
    assert_eq!(ended.expect("the process does not stop").unwrap().code(), Some(0));
    drop(log);
}

/// Starts a balancer on a full disk, where health checks fail, and returns it with its port.
async fn start_on_full_disk(setup: &Setup) -> (Product, u16) {
    let product = setup.spawn().unwrap();
    wait_until("listening", async || parse_port(&product.log()).is_some()).await.unwrap();
    let port = parse_port(&product.log()).unwrap();
    (product, port)
}

/// Asserts that commands that only read work.
async fn assert_reads(setup: &Setup, url: &str, secret: &[u8]) {
    let status = setup.run_command(&["status"]).await.unwrap();
    assert!(status.status.success(), "{status:?}");
    let table = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(table.contains("127.0.0.1"), "{table}");
    let servers = setup.run_command(&["servers"]).await.unwrap();
    assert!(String::from_utf8_lossy(&servers.stdout).contains(url), "{servers:?}");
    let without_secret = setup.clone().with_setting("LOADBALANCER_SECRET", "");
    without_secret.start().await.unwrap().terminate().await.unwrap();
    let generated = without_secret.run_command(&["secret"]).await.unwrap();
    assert_eq!((generated.status.success(), generated.stdout.as_slice()), (true, secret));
}

#[tokio::test]
async fn a_full_disk_prevents_neither_start_nor_reading() {
    let setup = setup();
    let path = setup.folder().join("small");
    let Some(small) = SmallDisk::mount(&path, 2).unwrap() else { return };
    let pool = start_pool(1).await;
    let url = pool.servers()[0].url();
    let setup = setup.with_setting("SCALELITE_DATA_DIR", &path.display().to_string());
    let without_secret = setup.clone().with_setting("LOADBALANCER_SECRET", "");
    without_secret.start().await.unwrap().terminate().await.unwrap();
    let generated = without_secret.run_command(&["secret"]).await.unwrap();
    assert!(generated.status.success() && !generated.stdout.is_empty(), "{generated:?}");
    let mut product = setup.start().await.unwrap();
    product.add_simulated_server(&pool.servers()[0]).await.unwrap();
    assert!(try_create(&product, "before").await);
    small.fill().unwrap();
    let mut n = 0;
    let fails = async || {
        n += 1;
        !try_create(&product, &format!("full-{n}")).await
    };
    wait_until("full", fails).await.unwrap();
    assert_reads(&setup, &url, &generated.stdout).await;
    product.kill().await.unwrap();
    // Without a server process, and with one that was started on the full disk.
    assert_reads(&setup, &url, &generated.stdout).await;
    let (mut restarted, port) = start_on_full_disk(&setup).await;
    let info = new_request("GET", &signed_target("getMeetingInfo", "meetingID=before"));
    assert_success(&exchange(port, &info).await.unwrap());
    assert_reads(&setup, &url, &generated.stdout).await;
    restarted.terminate().await.unwrap();
    assert_eq!(restarted.wait_for_exit().await.unwrap().code(), Some(0));
    assert!(!restarted.log().contains("panicked"));
}
