//! Creates databases, runs statements and takes dumps on a private PostgreSQL server.

use super::{DEADLINE, Postgres};
use anyhow::{Context, ensure};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

/// The database that always exists.
const MAINTENANCE_DATABASE: &str = "postgres";
/// The template database that is always empty.
const EMPTY_TEMPLATE: &str = "template0";

impl Postgres {
    /// Creates an empty database.
    ///
    /// # Errors
    /// When it exists already.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<()> {
        self.create_database_from(name, EMPTY_TEMPLATE).await
    }

    /// Creates a copy of a database to which no client is connected.
    ///
    /// # Errors
    /// When a database of this name exists already, or the template is in use.
    pub async fn create_database_from(&self, name: &str, template: &str) -> anyhow::Result<()> {
        self.psql(MAINTENANCE_DATABASE, &create_statement(name, template)).await.map(drop)
    }

    /// Drops a database, if it exists, and closes the connections to it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn drop_database(&self, name: &str) -> anyhow::Result<()> {
        self.psql(MAINTENANCE_DATABASE, &drop_statement(name)).await.map(drop)
    }

    /// Drops a database, if it exists, and creates it again, empty.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn recreate_database(&self, name: &str) -> anyhow::Result<()> {
        let statements = drop_statement(name) + &create_statement(name, EMPTY_TEMPLATE);
        self.psql(MAINTENANCE_DATABASE, &statements).await.map(drop)
    }

    /// Runs SQL statements; returns the rows, one per line, with `|` between columns.
    ///
    /// # Errors
    /// When a statement fails. The effects of the statements before it remain.
    pub async fn psql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let tuples = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
        let rows = self.run_tool("psql", database, &tuples, sql).await?;
        Ok(rows.trim_end_matches('\n').to_owned())
    }

    /// Returns the output of `pg_dump` with these arguments, e.g. `--schema-only`.
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
        let mut child = command
            .spawn()
            .context("the client programs of PostgreSQL are missing: bin/test installs them")?;
        let pipe = child.stdin.take();
        let write = async {
            if let Some(mut pipe) = pipe {
                // A tool that fails may not read its input to the end; its error output tells why.
                let _ = pipe.write_all(input.as_bytes()).await;
            }
        };
        let run = async { tokio::join!(write, child.wait_with_output()).1 };
        let output =
            timeout(DEADLINE, run).await.with_context(|| format!("{name} does not end"))??;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {}: {}", output.status, errors.trim());
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
