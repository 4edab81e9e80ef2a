//! A headless Chromium that opens one page.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

/// Names of the program on different systems.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with a profile of its own. It ends when it is dropped.
pub(crate) struct Chromium {
    child: Child,
    profile: TempDir,
}

impl Chromium {
    /// Opens a page. Requests to these hosts go to ports of this machine.
    pub(crate) fn open(url: &str, hosts: &[(&str, u16)]) -> anyhow::Result<Self> {
        let profile = TempDir::new()?;
        let log = std::fs::File::create(profile.path().join("log"))?;
        let program = PROGRAMS.iter().find(|program| {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
            found.is_ok_and(|status| status.success())
        });
        let program = program.context("chromium is not installed: bin/test installs it")?;
        let to_rule = |(host, port): &(&str, u16)| format!("MAP {host}:443 127.0.0.1:{port}");
        let rules: Vec<String> = hosts.iter().map(to_rule).collect();
        let child = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--autoplay-policy=no-user-gesture-required", "--mute-audio"])
            .args(["--ignore-certificate-errors", "--enable-logging=stderr", "--v=0"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .arg(format!("--host-resolver-rules={}", rules.join(", ")))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // The process listens until it is ended: without this it ends after loading the page.
            .args(["--remote-debugging-port=0", url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { child, profile })
    }

    /// The messages on the console of the pages.
    pub(crate) fn console(&self) -> Vec<String> {
        let mut log = Vec::new();
        let read = std::fs::File::open(self.profile.path().join("log"))
            .and_then(|mut file| file.read_to_end(&mut log));
        assert!(read.is_ok(), "{read:?}");
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
