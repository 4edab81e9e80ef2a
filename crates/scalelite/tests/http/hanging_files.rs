//! A file system that hangs: what visitors ask of it keeps neither the store nor the servers waiting.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bbb_sim::{BbbPool, PoolOptions};
use testkit::product::{ClientConnection, DEADLINE, Setup, new_request};
use tokio::time::timeout;

use crate::tools::assert_success;

/// More visitors than the runtime has threads for work that blocks.
const VISITORS: usize = 560;

/// A file that nobody can open: another process holds a lease on it, and does not give it back.
struct HangingFile(Child);

impl HangingFile {
    fn hold(path: &Path) -> Self {
        // The kernel asks for the lease by a signal. 1024 is F_SETLEASE, 1 is F_WRLCK.
        let script = "trap('IO', 'IGNORE'); file = File.open(ARGV[0], 'r+'); \
            file.fcntl(1024, 1); $stdout.write('!'); $stdout.flush; $stdin.read";
        let mut command = Command::new("ruby");
        command.args(["-e", script]).arg(path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        Self(child)
    }
}

impl Drop for HangingFile {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_of_files_that_hang_delay_no_create_and_no_name_lookup() {
    let player = tempfile::tempdir().unwrap();
    std::fs::write(player.path().join("index.html"), "<html>player</html>").unwrap();
    let setup = Setup::new(env!("CARGO_BIN_EXE_scalelite")).unwrap();
    let player_dir = player.path().display().to_string();
    let product = setup.with_setting("PLAYBACK_PLAYER_DIR", &player_dir).start().await.unwrap();
    let pool = BbbPool::start(PoolOptions { servers: 2, ..PoolOptions::default() }).await.unwrap();
    let add_server = async |number: usize| {
        let server = &pool.servers()[number];
        let url = server.url().replace("127.0.0.1", "localhost");
        product.add_server(&url, &server.secret()).await.unwrap();
    };
    add_server(0).await;

    let hanging = HangingFile::hold(&player.path().join("index.html"));
    let request = || new_request("GET", "/playback/presentation/2.3/index.html");
    let mut visitors = Vec::new();
    for _ in 0..VISITORS {
        let mut connection = ClientConnection::open(product.port()).await.unwrap();
        let request = request();
        visitors.push(tokio::spawn(async move { connection.send_request(&request).await }));
    }
    // The name of a new server is looked up, and it is online at once.
    timeout(DEADLINE, add_server(1)).await.expect("the name lookup hangs");
    let servers = product.call_management("getServers", None).await.unwrap();
    let list = servers.as_array().unwrap();
    let are_online = list.iter().all(|server| server["online"] == "online");
    assert!(list.len() == 2 && are_online, "{servers} {}", product.log());
    for n in 0..3 {
        let query = format!("meetingID=m{n}&name=room");
        let created = timeout(DEADLINE, product.call("create", &query)).await;
        assert_success(&created.expect("the create hangs").unwrap());
    }
    assert_eq!(product.get("/health_check").await.unwrap().text(), "success");
    assert!(visitors.iter().any(|visitor| !visitor.is_finished()), "nobody waits");
    drop(hanging);
    for visitor in visitors {
        assert_eq!(visitor.await.unwrap().unwrap().status, 200);
    }
}
