//! What the tests of the command line share: the built binary with an empty store, simulated
//! servers, and names for what is made up anew each time.

use anyhow::{Context, ensure};
use bbb_sim::{BbbPool, BbbServer, PoolOptions};
use testkit::process::{self, CommandOutput};
use testkit::product::{Product, Setup, signed_target};

/// A setup without a running balancer, and servers that it does not know yet.
pub(crate) struct CliEnvironment {
    pub(crate) setup: Setup,
    pub(crate) pool: BbbPool,
    ids: Vec<String>,
}

impl CliEnvironment {
    pub(crate) async fn new(servers: usize) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = BbbPool::start(options).await?;
        Ok(Self { setup: setup()?, pool, ids: Vec::new() })
    }

    pub(crate) fn server(&self, n: usize) -> &BbbServer {
        self.pool.server(n)
    }

    /// Adds the next server, with a multiplier and a tag perhaps.
    pub(crate) async fn add_server(&mut self, more: &[&str]) -> anyhow::Result<String> {
        let server = self.server(self.ids.len() + 1);
        let (url, secret) = (server.url(), server.secret());
        let mut arguments = vec!["servers", "add", &url, &secret];
        arguments.extend(more);
        let said = process::run(&self.setup, &arguments).await?;
        ensure!(said.exit_code == 0, "{said:?}");
        let id = said.stdout.lines().find_map(|line| line.strip_prefix("id: "));
        self.ids.push(id.context("no id")?.to_owned());
        Ok(self.mask(&said.stdout))
    }

    /// Adds and enables the next server.
    pub(crate) async fn add_enabled_server(&mut self) -> anyhow::Result<()> {
        self.add_server(&[]).await?;
        let enable = format!("servers enable <id-{}>", self.ids.len());
        self.run_ok(&enable).await.map(drop)
    }

    /// Fills `<id-N>` and `<url-N>` of a command, runs it, and puts them back into what it says.
    pub(crate) async fn run(&self, command: &str) -> anyhow::Result<CommandOutput> {
        self.run_with_input(command, "").await
    }

    /// The same with something on the standard input.
    pub(crate) async fn run_with_input(
        &self,
        command: &str,
        input: &str,
    ) -> anyhow::Result<CommandOutput> {
        let mut command = command.to_owned();
        for (name, value) in self.placeholders() {
            command = command.replace(&name, &value);
        }
        // Two quotes are an empty argument.
        let arguments = command.split(' ').map(|word| word.trim_matches('\''));
        let arguments: Vec<&str> = arguments.collect();
        let said = process::run_with_input(&self.setup, &arguments, input).await?;
        Ok(CommandOutput {
            stdout: self.mask(&said.stdout),
            stderr: self.mask(&said.stderr),
            exit_code: said.exit_code,
        })
    }

    /// What a command prints that has nothing to complain about.
    pub(crate) async fn run_ok(&self, command: &str) -> anyhow::Result<String> {
        let said = self.run(command).await?;
        ensure!(said.exit_code == 0 && said.stderr.is_empty(), "{said:?}");
        Ok(said.stdout)
    }

    /// What a command complains about that fails.
    pub(crate) async fn run_failing(&self, command: &str) -> anyhow::Result<String> {
        let said = self.run(command).await?;
        ensure!(said.exit_code == 1, "{said:?}");
        Ok(said.stderr)
    }

    /// Writes a file into the working directory, with `<url-N>` filled in.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut text = text.to_owned();
        for (name, value) in self.placeholders() {
            text = text.replace(&name, &value);
        }
        Ok(std::fs::write(self.setup.folder().join(name), text)?)
    }

    fn mask(&self, text: &str) -> String {
        let names = self.placeholders();
        names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(value, name))
    }

    fn placeholders(&self) -> Vec<(String, String)> {
        let ids = (1..).zip(&self.ids).map(|(n, id)| (format!("<id-{n}>"), id.clone()));
        let servers = self.pool.servers().iter();
        let urls = servers.map(|server| (format!("<url-{}>", server.number()), server.url()));
        ids.chain(urls).collect()
    }
}

/// The binary with an empty store.
pub(crate) fn setup() -> anyhow::Result<Setup> {
    Setup::new(env!("CARGO_BIN_EXE_scalelite"))
}

/// Makes a meeting as a front-end does.
pub(crate) async fn create_meeting(product: &Product, id: &str, more: &str) -> anyhow::Result<()> {
    let query = format!("meetingID={id}&name={id}{more}");
    let answer = product.get(&signed_target("create", &query)).await?.text();
    ensure!(answer.contains("<returncode>SUCCESS</returncode>"), "{answer}");
    Ok(())
}

/// The text with each run of blanks as one.
pub(crate) fn collapse_blanks(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}
