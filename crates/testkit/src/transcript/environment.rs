//! The environment of a transcript: simulated servers under the addresses that it uses, a program
//! with an empty store, and the directives that change them between tasks.

use super::mask::Mask;
use super::transcript_file::RakeTask;
use crate::process;
use crate::product::{Setup, signed_target};
use anyhow::{Context, bail, ensure};
use bbb_sim::{BbbPool, FaultMode, PoolOptions, Preload, Strictness};
use std::net::Ipv4Addr;
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The number of servers that transcripts use.
const SERVERS: u8 = 3;

pub(super) struct TranscriptEnvironment {
    setup: Setup,
    pool: BbbPool,
    mask: Mask,
    _proxies: JoinSet<()>,
}

impl TranscriptEnvironment {
    /// Starts a new environment. The files that tasks read are in the working directory.
    pub(super) async fn start(binary: &str, data: &Path) -> anyhow::Result<TranscriptEnvironment> {
        let options = PoolOptions {
            servers: usize::from(SERVERS),
            strictness: Strictness::Recorded,
            ..PoolOptions::default()
        };
        let pool = BbbPool::start(options).await?;
        let (mut mask, mut proxies) = (Mask::default(), JoinSet::new());
        for n in 1..=SERVERS {
            let host = Ipv4Addr::new(127, 0, 0, n + 1);
            let port = start_proxy(&mut proxies, host, pool.server(n.into()).port()).await?;
            let url = format!("http://{host}:{port}/bigbluebutton/api");
            mask.add_server(url, host.to_string());
        }
        let setup = Setup::new(binary)?.with_serve_argument("--roles=api");
        for entry in std::fs::read_dir(data.join("files"))? {
            let entry = entry?;
            let text = std::fs::read_to_string(entry.path())?;
            std::fs::write(setup.folder().join(entry.file_name()), mask.unmask(&text))?;
        }
        setup.create_store().await?;
        Ok(TranscriptEnvironment { setup, pool, mask, _proxies: proxies })
    }

    /// Runs a task; returns its output in the form of a transcript.
    pub(super) async fn run_task(&mut self, task: &RakeTask) -> anyhow::Result<Vec<String>> {
        let name = self.mask.unmask(&task.name);
        let arguments = ["rake", name.as_str()];
        let output = match &task.input {
            Some(input) => process::run_with_input(&self.setup, &arguments, input).await?,
            None => process::run(&self.setup, &arguments).await?,
        };
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.mask.mask(&output.stdout)?.lines().map(str::to_owned));
        let stderr = self.mask.mask(&output.stderr)?;
        lines.extend(stderr.lines().map(|line| format!("(stderr) {line}")));
        if output.exit_code != 0 {
            lines.push(format!("(exit {})", output.exit_code));
        }
        Ok(lines)
    }

    /// Executes a directive, as the README explains it.
    pub(super) async fn run_directive(&mut self, directive: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = directive.split_whitespace().collect();
        match words.as_slice() {
            ["preload", server, prefix, meetings, users, videos] => {
                let preload = Preload {
                    ids: (0..meetings.parse()?)
                        .map(|n: u32| format!("{prefix}-{server}-{n}"))
                        .collect(),
                    users: users.parse()?,
                    videos: videos.parse()?,
                    ..Preload::default()
                };
                self.server(server)?.preload(preload);
            }
            ["set", name, value] => self.setup = self.setup.clone().with_setting(name, value),
            ["create", meetings @ ..] => self.create_meetings(meetings).await?,
            ["stop", server] => self.server(server)?.set_fault(FaultMode::Refuse),
            _ => bail!("no such directive"),
        }
        Ok(())
    }

    fn server(&self, number: &str) -> anyhow::Result<&bbb_sim::BbbServer> {
        let servers = self.pool.servers();
        let found = servers.get(number.parse::<usize>()?.wrapping_sub(1));
        found.context("no such server")
    }

    /// Creates meetings by API calls.
    async fn create_meetings(&self, meetings: &[&str]) -> anyhow::Result<()> {
        let product = self.setup.start().await?;
        for id in meetings {
            let create = signed_target("create", &format!("meetingID={id}&name={id}&record=true"));
            let response = product.get(&create).await?.text();
            ensure!(response.contains("SUCCESS"), "{response}");
        }
        Ok(())
    }
}

/// Gives a simulated server an address of its own, since all of them listen on 127.0.0.1. Returns
/// the port on that address.
async fn start_proxy(
    proxies: &mut JoinSet<()>,
    host: Ipv4Addr,
    server_port: u16,
) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((host, 0)).await?;
    let port = listener.local_addr()?.port();
    proxies.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).await
                {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    Ok(port)
}
