//! What once went wrong when the process began or ended: files taken for sockets, work cut off
//! because its client had left, a log that nobody read, a disk that was full.

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

/// Asserts that it ends at once and says why, and where.
async fn assert_refused(path: &Path) {
    let mut product = setup_bound_to(path).spawn().unwrap();
    assert_eq!(product.wait_for_exit().await.unwrap().code(), Some(1));
    let log = product.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.contains(&path.display().to_string()), "{log}");
}

#[tokio::test]
async fn a_file_is_not_taken_for_a_socket() {
    let keeper = setup();
    let path = keeper.folder().join("notes.txt");
    std::fs::write(&path, "not to be lost").unwrap();
    assert_refused(&path).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not to be lost");
    // Nor through a link.
    let link = keeper.folder().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_refused(&link).await;
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "not to be lost");
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let keeper = setup();
    let path = keeper.folder().join("some.sock");
    let listener = UnixListener::bind(&path).unwrap();
    assert_refused(&path).await;
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok(), "still there");
    drop(listener);
    assert!(path.exists(), "dead, but there");
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
    assert!(server.meetings().is_empty(), "it should be under way");
    world.product.terminate().await.unwrap();
    assert_eq!(world.product.wait_for_exit().await.unwrap().code(), Some(0));
    assert!(world.product.log().contains("completed after the client disconnected"));
    assert_eq!(server.meetings().len(), 1);
    server.set_latency(Latency::None);
    world.product.restart().await.unwrap();
    let info = world.product.call("getMeetingInfo", "meetingID=left");
    assert_success(&info.await.unwrap());
}

/// Reads the log until it says at which port it listens.
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
    let (_, after) = log.split_once("http://127.0.0.1:")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    after.contains('\n').then(|| digits.parse().ok()).flatten()
}

#[tokio::test]
async fn a_log_that_nobody_reads_does_not_delay_the_end() {
    let setup = setup().with_setting("LOG_LEVEL", "debug");
    let mut command = setup.command();
    command.arg("serve").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Read so far and no further, and kept open.
    let mut log = BufReader::with_capacity(1, child.stderr.take().unwrap());
    let port = read_port(&mut log).await;
    let mut connection = ClientConnection::open(port).await.unwrap();
    // A pipe holds 64 KiB; each request writes a line with its meeting.
    let info =
        new_request("GET", &signed_target("getMeetingInfo", &create_query(&"x".repeat(128))));
    for _ in 0..3_000 {
        let answer = timeout(DEADLINE, connection.send_request(&info)).await;
        assert_eq!(answer.expect("the log stops it").unwrap().status, 200);
    }
    let kill = format!("kill -TERM {}", child.id().unwrap());
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    let ended = timeout(Duration::from_secs(5), child.wait()).await;
    assert_eq!(ended.expect("does not end").unwrap().code(), Some(0));
    drop(log);
}

/// A balancer on a full disk, where no health check is good, and the port where it listens.
async fn start_on_full_disk(setup: &Setup) -> (Product, u16) {
    let product = setup.spawn().unwrap();
    wait_until("listening", async || parse_port(&product.log()).is_some()).await.unwrap();
    let port = parse_port(&product.log()).unwrap();
    (product, port)
}

async fn assert_reads(setup: &Setup, url: &str, secret: &[u8]) {
    let status = setup.run_command(&["status"]).await.unwrap();
    assert!(status.status.success(), "{status:?}");
    let host = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(host.contains("127.0.0.1"), "{host}");
    let servers = setup.run_command(&["servers"]).await.unwrap();
    assert!(String::from_utf8_lossy(&servers.stdout).contains(url), "{servers:?}");
    let own = setup
        .clone()
        .with_setting("LOADBALANCER_SECRET", "")
        .run_command(&["secret"])
        .await
        .unwrap();
    assert_eq!((own.status.success(), own.stdout.as_slice()), (true, secret), "{own:?}");
}

#[tokio::test]
async fn a_full_disk_keeps_nobody_from_starting_or_looking() {
    let setup = setup();
    let path = setup.folder().join("small");
    let Some(small) = SmallDisk::mount(&path, 2).unwrap() else { return };
    let pool = start_pool(1).await;
    let url = pool.servers()[0].url();
    let setup = setup.with_setting("SCALELITE_DATA_DIR", &path.display().to_string());
    let own = setup
        .clone()
        .with_setting("LOADBALANCER_SECRET", "")
        .run_command(&["secret"])
        .await
        .unwrap();
    assert!(own.status.success() && !own.stdout.is_empty(), "{own:?}");
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
    assert_reads(&setup, &url, &own.stdout).await;
    product.kill().await.unwrap();
    // Without a server process, and beside one that was started on the full disk.
    assert_reads(&setup, &url, &own.stdout).await;
    let (mut restarted, port) = start_on_full_disk(&setup).await;
    let info = new_request("GET", &signed_target("getMeetingInfo", "meetingID=before"));
    assert_success(&exchange(port, &info).await.unwrap());
    assert_reads(&setup, &url, &own.stdout).await;
    restarted.terminate().await.unwrap();
    assert_eq!(restarted.wait_for_exit().await.unwrap().code(), Some(0));
    assert!(!restarted.log().contains("panicked"));
}
