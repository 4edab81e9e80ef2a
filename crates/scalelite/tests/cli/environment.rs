//! Shared by the tests of the command line: the built binary with an empty store, simulated servers,
//! and placeholders for ids and URLs that differ in every run.

use anyhow::{Context, ensure};
use bbb_sim::{BbbPool, BbbServer, PoolOptions};
use testkit::process::{self, CommandOutput};
use testkit::product::{Product, Setup, signed_target};

/// A setup without a running balancer, and simulated servers that are not in its pool yet.
pub(crate) struct CliEnvironment {
    pub(crate) setup: Setup,
    pub(crate) pool: BbbPool,
    ids: Vec<String>,
}

impl CliEnvironment {
    pub(crate) async fn new(servers: usize) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = BbbPool::start(options).await?;
        let setup = setup()?;
        setup.create_store().await?;
        Ok(Self { setup, pool, ids: Vec::new() })
    }

    /// The simulated server with this number, counted from 1.
    pub(crate) fn server(&self, number: usize) -> &BbbServer {
        self.pool.server(number)
    }

    /// Adds the next server with these additional arguments, and returns the output.
    pub(crate) async fn add_server(&mut self, arguments: &[&str]) -> anyhow::Result<String> {
        let server = self.server(self.ids.len() + 1);
        let (url, secret) = (server.url(), server.secret());
        let command = [&["servers", "add", &url, &secret], arguments].concat();
        let output = process::run(&self.setup, &command).await?;
        ensure!(output.exit_code == 0, "{output:?}");
        let id = output.stdout.lines().find_map(|line| line.strip_prefix("id: "));
        self.ids.push(id.context("no id")?.to_owned());
        Ok(self.mask(&output.stdout))
    }

    /// Adds and enables the next server.
    pub(crate) async fn add_enabled_server(&mut self) -> anyhow::Result<()> {
        self.add_server(&[]).await?;
        let enable = format!("servers enable <id-{}>", self.ids.len());
        self.run_ok(&enable).await.map(drop)
    }

    /// Runs a command whose placeholders `<id-N>` and `<url-N>` are filled in. The output has the
    /// placeholders again.
    pub(crate) async fn run(&self, command: &str) -> anyhow::Result<CommandOutput> {
        self.run_with_input(command, "").await
    }

    /// Like [`Self::run`], with this text on the standard input.
    pub(crate) async fn run_with_input(
        &self,
        command: &str,
        input: &str,
    ) -> anyhow::Result<CommandOutput> {
        let mut command = command.to_owned();
        for (name, value) in self.placeholders() {
            command = command.replace(&name, &value);
        }
        // `''` stands for an empty argument.
        let arguments = command.split(' ').map(|word| word.trim_matches('\''));
        let arguments: Vec<&str> = arguments.collect();
        let output = process::run_with_input(&self.setup, &arguments, input).await?;
        Ok(CommandOutput {
            stdout: self.mask(&output.stdout),
            stderr: self.mask(&output.stderr),
            exit_code: output.exit_code,
        })
    }

    /// Runs a command that must succeed without messages, and returns its standard output.
    pub(crate) async fn run_ok(&self, command: &str) -> anyhow::Result<String> {
        let output = self.run(command).await?;
        ensure!(output.exit_code == 0 && output.stderr.is_empty(), "{output:?}");
        Ok(output.stdout)
    }

    /// Runs a command that must fail, and returns its standard error output.
    pub(crate) async fn run_failing(&self, command: &str) -> anyhow::Result<String> {
        let output = self.run(command).await?;
        ensure!(output.exit_code == 1, "{output:?}");
        Ok(output.stderr)
    }

    /// Writes a file into the working directory. Placeholders in the text are filled in.
    pub(crate) fn write_file(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let mut text = text.to_owned();
        for (name, value) in self.placeholders() {
            text = text.replace(&name, &value);
        }
        Ok(std::fs::write(self.setup.folder().join(name), text)?)
    }

    /// Replaces ids and URLs by their placeholders.
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

/// The built binary with an empty store.
pub(crate) fn setup() -> anyhow::Result<Setup> {
    Setup::new(env!("CARGO_BIN_EXE_scalelite"))
}

/// Creates a meeting as a front-end does, with these additional parameters.
pub(crate) async fn create_meeting(
    product: &Product,
    id: &str,
    parameters: &str,
) -> anyhow::Result<()> {
    let query = format!("meetingID={id}&name={id}{parameters}");
    let response = product.get(&signed_target("create", &query)).await?.text();
    ensure!(response.contains("<returncode>SUCCESS</returncode>"), "{response}");
    Ok(())
}

/// The lines of the text, with each run of whitespace replaced by one blank.
pub(crate) fn collapse_whitespace(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(words).collect()
}
