//! Where a transcript is played: simulated servers under the addresses that it uses, a program with
//! an empty store, and what happens to both between tasks.

use super::mask::Mask;
use super::script::Task;
use crate::process;
use crate::product::{Setup, signed};
use anyhow::{Context, bail, ensure};
use bbb_sim::{FaultMode, Pool, PoolOptions, Preload, Strictness};
use std::net::Ipv4Addr;
use std::path::Path;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// As many servers as transcripts use.
const SERVERS: u8 = 3;

pub(super) struct Stage {
    setup: Setup,
    pool: Pool,
    mask: Mask,
    _fronts: JoinSet<()>,
}

impl Stage {
    /// A fresh one; the files that tasks read are in the working directory.
    pub(super) async fn set(binary: &str, data: &Path) -> anyhow::Result<Stage> {
        let options = PoolOptions {
            servers: usize::from(SERVERS),
            strictness: Strictness::Recorded,
            ..PoolOptions::default()
        };
        let pool = Pool::start(options).await?;
        let (mut mask, mut fronts) = (Mask::default(), JoinSet::new());
        for n in 1..=SERVERS {
            let host = Ipv4Addr::new(127, 0, 0, n + 1);
            let port = front(&mut fronts, host, pool.server(n.into()).port()).await?;
            let url = format!("http://{host}:{port}/bigbluebutton/api");
            mask.add_server(url, host.to_string());
        }
        let setup = Setup::new(binary)?.serving("--roles=api");
        for entry in std::fs::read_dir(data.join("files"))? {
            let entry = entry?;
            let text = std::fs::read_to_string(entry.path())?;
            std::fs::write(setup.folder().join(entry.file_name()), mask.fill(&text))?;
        }
        Ok(Stage { setup, pool, mask, _fronts: fronts })
    }

    /// Runs a task and returns what it said as a transcript would show it.
    pub(super) async fn run(&mut self, task: &Task) -> anyhow::Result<Vec<String>> {
        let name = self.mask.fill(&task.name);
        let arguments = ["rake", name.as_str()];
        let said = match &task.input {
            Some(input) => process::told(&self.setup, &arguments, input).await?,
            None => process::run(&self.setup, &arguments).await?,
        };
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.mask.hide(&said.stdout)?.lines().map(str::to_owned));
        let complaints = self.mask.hide(&said.stderr)?;
        lines.extend(complaints.lines().map(|line| format!("(stderr) {line}")));
        if said.code != 0 {
            lines.push(format!("(exit {})", said.code));
        }
        Ok(lines)
    }

    /// Does what an order of the README says.
    pub(super) async fn obey(&mut self, order: &str) -> anyhow::Result<()> {
        let words: Vec<&str> = order.split_whitespace().collect();
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
            ["set", name, value] => self.setup = self.setup.clone().with(name, value),
            ["create", meetings @ ..] => self.create(meetings).await?,
            ["stop", server] => self.server(server)?.set_fault(FaultMode::Refuse),
            _ => bail!("no such order"),
        }
        Ok(())
    }

    fn server(&self, number: &str) -> anyhow::Result<&bbb_sim::Server> {
        let servers = self.pool.servers();
        let found = servers.get(number.parse::<usize>()?.wrapping_sub(1));
        found.context("no such server")
    }

    /// Makes meetings as a front-end does.
    async fn create(&self, meetings: &[&str]) -> anyhow::Result<()> {
        let product = self.setup.start().await?;
        for id in meetings {
            let create = signed("create", &format!("meetingID={id}&name={id}&record=true"));
            let answer = product.get(&create).await?.text();
            ensure!(answer.contains("SUCCESS"), "{answer}");
        }
        Ok(())
    }
}

/// An address of its own for a simulated server, which listens where all of them do.
async fn front(fronts: &mut JoinSet<()>, host: Ipv4Addr, to: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((host, 0)).await?;
    let port = listener.local_addr()?.port();
    fronts.spawn(async move {
        let mut guests = JoinSet::new();
        while let Ok((mut guest, _)) = listener.accept().await {
            guests.spawn(async move {
                if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
                    let _ = tokio::io::copy_bidirectional(&mut guest, &mut server).await;
                }
            });
        }
    });
    Ok(port)
}
