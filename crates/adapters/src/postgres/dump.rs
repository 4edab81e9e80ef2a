//! Writes all tables out as of one moment, and puts them back in one transaction: our own, and the original's that we use.
//! A line is JSON: an object with the name and the columns of a table, then arrays with some hundred rows of it each.

use std::time::Duration;

use app::ports::StoreError;
use serde::{Deserialize, Serialize};

use super::PgStore;
use super::connection::PgConnection;
use super::migrations;
use crate::sql::connection::{SqlConnection, values};

/// The original's tables that belong to a backup.
const ORIGINAL_TABLES: [&str; 5] =
    ["recordings", "metadata", "playback_formats", "thumbnails", "callback_data"];
/// Our own tables that do not.
const LEFT_OUT: [&str; 2] = ["schema_versions", "write_check"];
/// Our own tables that others refer to: they are filled first.
const FIRST_TABLES: [&str; 2] = ["servers", "tenants"];
/// Rows that are read and written at once.
const PAGE_ROWS: usize = 500;
/// The time limit of a statement of a dump or a restore.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// The lock that excludes other writers; the number is that of every write.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7235433001)";

/// A table and its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TableHeader {
    table: String,
    columns: Vec<String>,
}

/// Opens a connection of its own for a dump or a restore, to a database that has been adopted.
fn open(store: &PgStore) -> Result<PgConnection, StoreError> {
    let mut connection = store.database.connector.connect()?;
    connection.set_response_timeout(STATEMENT_TIMEOUT + Duration::from_secs(1));
    let ms = STATEMENT_TIMEOUT.as_millis();
    connection.execute_batch(&format!(
        "SET statement_timeout = {ms}; SET lock_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}"
    ))?;
    Ok(connection)
}

/// Writes all tables as they are at one moment, line by line.
///
/// # Errors
/// When the database cannot be read or was never adopted, or a line cannot be written.
pub(crate) fn dump_tables(
    store: &PgStore,
    write_line: &mut dyn FnMut(&str) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut connection = open(store)?;
    migrations::require_adopted(&mut connection)?;
    connection.begin_reading()?;
    for header in list_tables(&mut connection)? {
        let cursor = format!("dump_{}", header.table.replace('.', "_"));
        connection.execute_batch(&format!(
            "DECLARE {cursor} NO SCROLL CURSOR FOR SELECT row_to_json(dumped_row)::text FROM {} dumped_row",
            header.table
        ))?;
        write_line(&serde_json::to_string(&header).map_err(corrupt)?)?;
        loop {
            let mut rows: Vec<String> = Vec::new();
            connection.visit(&format!("FETCH {PAGE_ROWS} FROM {cursor}"), &[], &mut |row| {
                rows.push(row.get(0)?);
                Ok(())
            })?;
            if rows.is_empty() {
                break;
            }
            // Line feeds in texts are escaped, others do not matter.
            write_line(&format!("[{}]", rows.join(",")).replace('\n', " "))?;
        }
        connection.execute_batch(&format!("CLOSE {cursor}"))?;
    }
    connection.end_reading()
}

/// Lists the tables of a dump, those first that others refer to.
fn list_tables(connection: &mut PgConnection) -> Result<Vec<TableHeader>, StoreError> {
    const COLUMNS: &str = "SELECT n.nspname::text, c.relname::text, a.attname::text \
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
        JOIN pg_attribute a ON a.attrelid = c.oid \
        WHERE n.nspname IN ('scalelite_own', 'public') AND c.relkind = 'r' AND a.attnum > 0 \
        AND NOT a.attisdropped ORDER BY 1, 2, a.attnum";
    let mut tables: Vec<TableHeader> = Vec::new();
    connection.visit(COLUMNS, &[], &mut |row| {
        let (schema, table, column): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let belongs = match schema.as_str() {
            "public" => ORIGINAL_TABLES.contains(&table.as_str()),
            _ => !LEFT_OUT.contains(&table.as_str()),
        };
        if !belongs {
            return Ok(());
        }
        let name = format!("{schema}.{table}");
        match tables.last_mut().filter(|last| last.table == name) {
            Some(last) => last.columns.push(column),
            None => tables.push(TableHeader { table: name, columns: vec![column] }),
        }
        Ok(())
    })?;
    let is_first = |header: &TableHeader| {
        FIRST_TABLES.iter().any(|first| header.table == format!("scalelite_own.{first}"))
    };
    tables.sort_by_key(|header| !is_first(header));
    Ok(tables)
}

/// Describes what the database holds that would be lost; `None` if it holds nothing.
pub(crate) fn describe_content(store: &PgStore) -> Result<Option<String>, StoreError> {
    const COUNTS: &str = "SELECT (SELECT count(*) FROM scalelite_own.servers), \
        (SELECT count(*) FROM scalelite_own.tenants), (SELECT count(*) FROM public.recordings)";
    let mut connection = open(store)?;
    // An empty database is brought to our schema; one of the original is adopted.
    migrations::migrate(&mut connection)?;
    let connection: &mut dyn SqlConnection = &mut connection;
    let counts = connection.query_first(COUNTS, &[], |row| {
        Ok::<[i64; 3], StoreError>([row.get(0)?, row.get(1)?, row.get(2)?])
    })?;
    let [servers, tenants, recordings] = counts.unwrap_or_default();
    let is_empty = servers == 0 && tenants == 0 && recordings == 0;
    let text = format!("{servers} servers, {tenants} tenants and {recordings} recordings");
    Ok((!is_empty).then_some(text))
}

/// A transaction that replaces the rows of all tables.
pub(crate) struct TableRestore {
    connection: PgConnection,
    /// The tables of the database.
    tables: Vec<TableHeader>,
    /// The table whose rows come next.
    current: Option<TableHeader>,
}

impl TableRestore {
    /// Begins the transaction and empties the tables.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) fn begin(store: &PgStore) -> Result<Self, StoreError> {
        let mut connection = open(store)?;
        migrations::migrate(&mut connection)?;
        connection.begin(&format!("BEGIN; {LOCK}"))?;
        let tables = list_tables(&mut connection)?;
        let names: Vec<&str> = tables.iter().map(|header| header.table.as_str()).collect();
        connection.execute_batch(&format!("TRUNCATE {}", names.join(", ")))?;
        Ok(Self { connection, tables, current: None })
    }

    /// Takes a line of a dump.
    ///
    /// # Errors
    /// When the line does not fit the database, or that cannot be written.
    pub(crate) fn add(&mut self, line: &str) -> Result<(), StoreError> {
        if !line.starts_with('[') {
            return self.begin_table(serde_json::from_str(line).map_err(corrupt)?);
        }
        let Some(TableHeader { table, columns }) = &self.current else {
            return Err(StoreError::Corrupt("rows without a table".to_owned()));
        };
        let columns: Vec<String> =
            columns.iter().map(|column| format!("\"{}\"", column.replace('"', "\"\""))).collect();
        let columns = columns.join(", ");
        let insert = format!(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE \
             SELECT {columns} FROM json_populate_recordset(NULL::{table}, ?1::text::json)"
        );
        self.connection.execute(&insert, values![line]).map(drop)
    }

    fn begin_table(&mut self, header: TableHeader) -> Result<(), StoreError> {
        let known = self.tables.iter().find(|known| known.table == header.table);
        let fits = known.is_some_and(|known| {
            header.columns.iter().all(|column| known.columns.contains(column))
        });
        if !fits {
            return Err(StoreError::Incompatible(format!(
                "the table {} of the backup is unknown, or has other columns: use the scalelite that has made the backup",
                header.table
            )));
        }
        self.current = Some(header);
        Ok(())
    }

    /// Sets the counters of ids, and commits.
    ///
    /// # Errors
    /// When the transaction cannot be committed; then nothing has changed.
    pub(crate) fn commit(mut self) -> Result<(), StoreError> {
        const COUNTER: &str = "SELECT pg_get_serial_sequence(?1, ?2)";
        for TableHeader { table, columns } in &self.tables {
            for column in columns.iter().filter(|name| ["id", "position"].contains(&name.as_str()))
            {
                let connection: &mut dyn SqlConnection = &mut self.connection;
                let counter: Option<Option<String>> = connection.query_first(
                    COUNTER,
                    values![table.as_str(), column.as_str()],
                    |row| row.get(0),
                )?;
                if let Some(Some(counter)) = counter {
                    self.connection.execute_batch(&format!(
                        "SELECT setval('{counter}', max({column})) FROM {table} HAVING max({column}) IS NOT NULL"
                    ))?;
                }
            }
        }
        self.connection.commit()
    }
}

fn corrupt(error: serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("a line of the backup cannot be read: {error}"))
}
