//! A child process that serves HTTP on a port of this machine.

use crate::client::Connection;
use crate::clock::now;
use anyhow::{Context, bail};
use http::{StatusCode, Uri};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const START_DEADLINE: Duration = Duration::from_secs(20);
const RETRY_INTERVAL: Duration = Duration::from_millis(2);
const HEALTH_PATH: &str = "/health_check";

/// A running child process that answers requests. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    port: u16,
    ready_after: Duration,
}

impl ServerProcess {
    /// Starts a command that serves on `port`, and waits until it answers the health check.
    pub(crate) async fn start(mut command: Command, port: u16) -> anyhow::Result<Self> {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let started = now();
        let child = command.kill_on_drop(true).spawn().with_context(|| name.clone())?;
        let mut process = Self { child, port, ready_after: Duration::ZERO };
        let ready = timeout(START_DEADLINE, process.wait_until_ready()).await;
        ready.unwrap_or_else(|_| bail!("no response to {HEALTH_PATH}")).context(name)?;
        process.ready_after = now() - started;
        Ok(process)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        while !self.is_ready().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("the process ended: {status}");
            }
            sleep(RETRY_INTERVAL).await;
        }
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.port).await else {
            return false;
        };
        let response = connection.get(Uri::from_static(HEALTH_PATH)).await;
        response.is_ok_and(|response| response.status == StatusCode::OK)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the time from the start of the process to its first valid response.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Returns a figure of `/proc/PID/status` in MiB: `VmRSS`, the resident memory, or `VmHWM`, its
    /// peak.
    pub(crate) fn memory_mib(&self, name: &str) -> anyhow::Result<f64> {
        let id = self.child.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let kib = status.lines().find_map(|line| parse_kib(line, name));
        Ok(kib.with_context(|| format!("no {name} in {status}"))? / 1024.0)
    }

    /// Waits for the end of a process that was asked to stop.
    pub(crate) async fn wait_for_end(&mut self) -> anyhow::Result<()> {
        timeout(START_DEADLINE, self.child.wait()).await.context("the process does not end")??;
        Ok(())
    }

    /// Kills the process and waits for its end.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

fn parse_kib(line: &str, name: &str) -> Option<f64> {
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Returns a port that no process listens on.
pub(crate) fn free_port() -> std::io::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_figures_of_proc_are_parsed() {
        assert_eq!(parse_kib("VmRSS:\t   2048 kB", "VmRSS"), Some(2048.0));
        assert_eq!(parse_kib("VmRSSx:\t   2048 kB", "VmRSS"), None);
        assert_eq!(parse_kib("VmHWM:\t   2048 kB", "VmRSS"), None);
    }
}
