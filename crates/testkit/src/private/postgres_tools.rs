//! What tests do to a private PostgreSQL beside the product: databases, statements, dumps.

use super::{DEADLINE, Postgres};
use anyhow::{Context, ensure};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// The database that is always there.
const MAINTENANCE_DATABASE: &str = "postgres";
/// The database that is always empty.
const EMPTY_TEMPLATE: &str = "template0";

impl Postgres {
    /// Creates an empty database.
    ///
    /// # Errors
    /// When it exists already.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        self.create_database_from(name, EMPTY_TEMPLATE).await
    }

    /// Creates a copy of a database to which nobody is connected.
    ///
    /// # Errors
    /// When it exists already, or the other is in use.
    pub async fn create_database_from(&self, name: &str, template: &str) -> anyhow::Result<()> {
        self.psql(MAINTENANCE_DATABASE, &create_statement(name, template)).await.map(drop)
    }

    /// Drops a database and throws out who is connected to it; nothing happens if there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.psql(MAINTENANCE_DATABASE, &drop_statement(name)).await.map(drop)
    }

    /// Drops a database, if there is one, and creates it anew and empty.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn recreate_database(&self, name: &str) -> anyhow::Result<()> {
        let both = drop_statement(name) + &create_statement(name, EMPTY_TEMPLATE);
        self.psql(MAINTENANCE_DATABASE, &both).await.map(drop)
    }

    /// Runs SQL; returns the rows, one a line, with `|` between their columns.
    ///
    /// # Errors
    /// When a statement fails; those before it stay done.
    pub async fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let tuples = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let said = self.run_tool("psql", database, &tuples, sql).await?;
        Ok(said.trim_end_matches('\n').to_owned())
    }

    /// What `pg_dump` writes with these arguments, e.g. `--schema-only`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn dump(&self, database: &str, arguments: &[&str]) -> anyhow::Result<String> {
        self.run_tool("pg_dump", database, arguments, "").await
    }

    async fn run_tool(
        &self,
        name: &str,
        database: &str,
        arguments: &[&str],
        input: &str,
    ) -> anyhow::Result<String> {
        let mut command = Command::new(self.programs.program_path(name));
        command.env_clear().env("LC_ALL", "C.UTF-8").current_dir("/").kill_on_drop(true);
        command.args(arguments).args(["-d", &self.socket_url(database)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("PostgreSQL's tools: bin/test installs them")?;
        let pipe = child.stdin.take();
        let write = async {
            if let Some(mut pipe) = pipe {
                // A tool that fails does not read to the end, and says why.
                let _ = pipe.write_all(input.as_bytes()).await;
            }
        };
        let both = async { tokio::join!(write, child.wait_with_output()).1 };
        let output = timeout(DEADLINE, both).await.with_context(|| format!("{name} hangs"))??;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {}: {}", output.status, said.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn create_statement(name: &str, template: &str) -> String {
    format!("CREATE DATABASE {} TEMPLATE {};\n", quote_identifier(name), quote_identifier(template))
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {} WITH (FORCE);\n", quote_identifier(name))
}

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
