//! The connection of the writing thread.

use std::sync::Arc;
use std::time::Duration;

use app::ports::StoreError;
use rusqlite::Connection;
use rusqlite::hooks::Action;

use super::change_counter::ChangeCounter;
use super::connection::run_command;
use super::store_file::StoreFile;
use super::{IDLE_TIME, LAST_CHECKPOINT_TIMEOUT, to_store_error};
use crate::sql::connection::{SqlConnection, SqlRow, SqlValue};
use crate::sql::server_cache::ServerCache;
use crate::sql::writer::WriteConnection;

/// A connection that knows the servers.
pub(super) struct SqliteWriteConnection {
    connection: Connection,
    servers: Option<ServerCache>,
    /// `PRAGMA data_version`, which changes when another connection has committed.
    data_version: Option<i64>,
    change_counter: Arc<ChangeCounter>,
    /// Declared last, and so closed after the connection.
    file: Arc<StoreFile>,
}

impl SqliteWriteConnection {
    pub(super) fn new(
        mut connection: Connection,
        change_counter: Arc<ChangeCounter>,
        file: Arc<StoreFile>,
    ) -> Result<Self, StoreError> {
        let servers = ServerCache::default();
        let log = servers.change_log();
        // The row id is the column `position`.
        let note = move |_: Action, _: &str, table: &str, row: i64| {
            if table == "servers" {
                log.note_change(row);
            }
        };
        connection.update_hook(Some(note)).map_err(to_store_error)?;
        let servers = Some(servers);
        Ok(Self { connection, servers, data_version: None, change_counter, file })
    }

    fn forget_servers(&self) {
        if let Some(servers) = &self.servers {
            servers.change_log().note_unknown_changes();
        }
    }
}

impl WriteConnection for SqliteWriteConnection {
    const MAX_BATCH: usize = 256;
    const IDLE_TIME: Option<Duration> = Some(IDLE_TIME);
    const IS_AWAITED: bool = true;

    fn begin(&mut self) -> Result<(), StoreError> {
        self.file.check_place()?;
        run_command(&self.connection, "BEGIN IMMEDIATE")?;
        let statement = self.connection.prepare_cached("PRAGMA data_version");
        let data_version = statement.and_then(|mut it| it.query_row([], |row| row.get(0))).ok();
        if data_version.is_none() || data_version != self.data_version {
            self.forget_servers();
        }
        self.data_version = data_version;
        Ok(())
    }

    fn connection(&mut self) -> Result<&mut dyn SqlConnection, StoreError> {
        Ok(self)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let committed = run_command(&self.connection, "COMMIT");
        if committed.is_err() {
            self.forget_servers();
            if !self.connection.is_autocommit() {
                // The failed transaction is still open, and would keep the next one from beginning.
                let _ = run_command(&self.connection, "ROLLBACK");
            }
        }
        committed
    }

    fn roll_back(&mut self) -> Result<(), StoreError> {
        self.forget_servers();
        // SQLite has done so itself if the disk is full.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        run_command(&self.connection, "ROLLBACK")
    }

    fn report_change(&self, _invalidates_join_cache: bool) {
        self.change_counter.increment();
    }

    /// Moves what was written from the log into the file, so that a copy of the file has it.
    fn tidy_up(&mut self, is_last: bool) {
        if is_last {
            let _ = self.connection.busy_timeout(LAST_CHECKPOINT_TIMEOUT);
        }
        let mode = if is_last { "TRUNCATE" } else { "PASSIVE" };
        let checkpoint = format!("PRAGMA wal_checkpoint({mode})");
        if let Err(error) = self.connection.query_row(&checkpoint, [], |_| Ok(())) {
            tracing::warn!(%error, "store log not moved into its file");
        }
    }
}

impl SqlConnection for SqliteWriteConnection {
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> Result<u64, StoreError> {
        SqlConnection::execute(&mut self.connection, sql, values)
    }

    fn visit(
        &mut self,
        sql: &str,
        values: &[SqlValue<'_>],
        visitor: &mut dyn FnMut(&dyn SqlRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.connection.visit(sql, values, visitor)
    }

    fn begin_reading(&mut self) -> Result<(), StoreError> {
        self.connection.begin_reading()
    }

    fn end_reading(&mut self) -> Result<(), StoreError> {
        self.connection.end_reading()
    }

    fn set_savepoint(&mut self) -> Result<(), StoreError> {
        self.connection.set_savepoint()
    }

    fn release_savepoint(&mut self) -> Result<(), StoreError> {
        self.connection.release_savepoint()
    }

    fn roll_back_to_savepoint(&mut self) -> Result<(), StoreError> {
        self.forget_servers();
        self.connection.roll_back_to_savepoint()
    }

    fn server_cache(&mut self) -> Option<&mut Option<ServerCache>> {
        Some(&mut self.servers)
    }
}
