//! The contract of the stores on SQLite, Redis, PostgreSQL, directories and S3. Each case on each
//! store is a test of its own: `cargo nextest run contract::redis::joins` runs some of them.
//!
//! Redis, PostgreSQL and the S3 server are shared by the tests of a run. Each store gets a namespace,
//! database or bucket that no other test uses.

#![expect(clippy::expect_used, reason = "a test that cannot set up its store must fail")]

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::blobs::directories::DirectoryBlobs;
use adapters::blobs::s3::{S3Blobs, S3Settings, TransferLimits};
use adapters::postgres::PgStore;
use adapters::postgres::address::{PgAddress, PgOptions, SslMode};
use adapters::redis::RedisStore;
use adapters::redis::address::{RedisAddress, RedisOptions};
use adapters::sqlite::SqliteStore;
use tempfile::TempDir;
use testkit::contract::{self, ContractTests, store_factory};
use testkit::nightly::is_nightly;
use testkit::private::{Postgres, Redis, S3};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls};

/// Random sequences of calls for each seed, in a usual run and in a nightly run.
const SEQUENCES: u32 = 40;
const NIGHTLY_SEQUENCES: u32 = 400;

/// Starts with a source of stores and creates stores from it, as whatever port is needed.
macro_rules! stores_from {
    ($source:ty) => {
        async || {
            let source = Arc::new(<$source>::new().await);
            store_factory(move || {
                let source = Arc::clone(&source);
                Box::pin(async move { Arc::new(source.next_store().await) as _ })
            })
        }
    };
}

fn main() -> ExitCode {
    let sequences = if is_nightly() { NIGHTLY_SEQUENCES } else { SEQUENCES };
    let mut tests = ContractTests::default();
    tests.add("sqlite", contract::state_store_cases(), stores_from!(SqliteStores));
    tests.add("sqlite", contract::recordings_cases(), stores_from!(SqliteStores));
    tests.add("sqlite", contract::recording_store_cases(), stores_from!(SqliteStores));
    tests.add("sqlite", contract::pool_model_cases(sequences, 1..=6), stores_from!(SqliteStores));
    tests.add(
        "sqlite",
        contract::catalog_model_cases(sequences, 1..=4),
        stores_from!(SqliteStores),
    );
    tests.add("redis", contract::state_store_cases(), stores_from!(RedisStores));
    tests.add("redis", contract::pool_model_cases(sequences, 1..=6), stores_from!(RedisStores));
    tests.add("postgres", contract::state_store_cases(), stores_from!(PgStores));
    tests.add("postgres", contract::recordings_cases(), stores_from!(PgStores));
    tests.add("postgres", contract::recording_store_cases(), stores_from!(PgStores));
    tests.add("postgres", contract::pool_model_cases(sequences / 2, 1..=2), stores_from!(PgStores));
    tests.add(
        "postgres",
        contract::catalog_model_cases(sequences / 2, 1..=2),
        stores_from!(PgStores),
    );
    tests.add("directories", contract::blobs_cases(), stores_from!(Directories));
    tests.add("s3", contract::blobs_cases(), stores_from!(Buckets));
    tests.run()
}

/// SQLite stores, each in a file of its own. The files are removed when this is dropped.
struct SqliteStores {
    dir: TempDir,
    count: AtomicU32,
}

impl SqliteStores {
    async fn new() -> Self {
        // In memory, if the system has such a directory: the contract is not about disks.
        let shm = Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        Self { dir: dir.expect("a directory"), count: AtomicU32::new(0) }
    }

    async fn next_store(&self) -> SqliteStore {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.path().join(format!("{number}.db"));
        SqliteStore::open(&path).expect("a store")
    }
}

/// Redis stores, each in a namespace of its own.
struct RedisStores {
    server: Redis,
    count: AtomicU32,
}

impl RedisStores {
    async fn new() -> Self {
        let server = Redis::shared().await.expect("a Redis server");
        Self { server, count: AtomicU32::new(0) }
    }

    async fn next_store(&self) -> RedisStore {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        RedisStore::new(RedisOptions {
            address: RedisAddress::parse(&self.server.unix_url()).expect("a URL"),
            namespace: format!("process-{}-{number}", std::process::id()),
            max_connections: 2,
            meeting_ttl_ms: 86_400_000,
        })
    }
}

/// Databases that a test uses in turn. A store in a database is not used any more when the last
/// database has been used.
const MAX_DATABASES: usize = 8;
/// The longest that a statement may take on a machine that does other work.
const STATEMENT_TIMEOUT_MS: u64 = 60_000;
/// Creates a database in which text is sorted by language, which must not show in any result.
const CREATE_OPTIONS: &str = "TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' \
    LOCALE_PROVIDER icu ICU_LOCALE 'de'";
/// Removes all rows but those that tell the version of the schema. That takes a tenth of the time
/// that creating a database takes.
const DELETE_ROWS: &str = "DO $$
    DECLARE name text;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
            WHERE schemaname IN ('public', 'scalelite_own') AND tablename NOT IN
                ('migrations', 'schema_versions', 'schema_migrations', 'ar_internal_metadata')
        LOOP
            EXECUTE 'DELETE FROM ' || name;
        END LOOP;
    END $$";

/// PostgreSQL stores, each in an empty database. Databases are kept for later tests of the run.
struct PgStores {
    server: Postgres,
    /// Holds an advisory lock for each database that this test uses.
    locks: Client,
    databases: Mutex<PgDatabases>,
}

#[derive(Default)]
struct PgDatabases {
    /// Names and connections of the databases that this test uses.
    locked: Vec<(String, Client)>,
    /// The number of the next database that may be locked.
    next_number: i64,
    /// Stores that were created so far.
    store_count: usize,
}

impl PgStores {
    async fn new() -> Self {
        let server = Postgres::shared().await.expect("a PostgreSQL server");
        let locks = connect(&server, "postgres").await;
        Self { server, locks, databases: Mutex::default() }
    }

    async fn next_store(&self) -> PgStore {
        let mut databases = self.databases.lock().await;
        if databases.locked.len() < MAX_DATABASES {
            let database = self.lock_database(&mut databases.next_number).await;
            databases.locked.push(database);
        }
        let index = databases.store_count % MAX_DATABASES;
        databases.store_count += 1;
        let (name, client) = &databases.locked[index];
        client.batch_execute(DELETE_ROWS).await.expect("an empty database");
        let address = PgAddress {
            config: config(&self.server, name),
            ssl: SslMode::Prefer,
            root_certificate: None,
            max_connections: None,
        };
        let options = PgOptions {
            address,
            max_connections: 3,
            statement_timeout_ms: STATEMENT_TIMEOUT_MS,
            read_only: false,
        };
        PgStore::new(options).expect("a store")
    }

    /// Finds or creates a database that no other test uses, and keeps other tests from using it.
    async fn lock_database(&self, next_number: &mut i64) -> (String, Client) {
        loop {
            let number = *next_number;
            *next_number += 1;
            let lock = "SELECT pg_try_advisory_lock($1)";
            if !self.locks.query_one(lock, &[&number]).await.expect("a lock").get::<_, bool>(0) {
                continue;
            }
            let name = format!("contract_{number}");
            let find = "SELECT 1 FROM pg_database WHERE datname = $1";
            if self.locks.query_opt(find, &[&name]).await.expect("a query").is_none() {
                let create = format!("CREATE DATABASE {name} {CREATE_OPTIONS}");
                self.locks.batch_execute(&create).await.expect("a database");
            }
            let client = connect(&self.server, &name).await;
            return (name, client);
        }
    }
}

fn config(server: &Postgres, database: &str) -> Config {
    let mut config = Config::new();
    config.user("postgres").dbname(database).port(server.port());
    config.host_path(server.socket_folder());
    config
}

async fn connect(server: &Postgres, database: &str) -> Client {
    let connected = config(server, database).connect(NoTls).await;
    let (client, connection) = connected.expect("a connection");
    tokio::spawn(connection);
    client
}

/// Stores of files in directories, which are removed when this is dropped.
struct Directories {
    dir: TempDir,
    count: AtomicU32,
}

impl Directories {
    async fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory"), count: AtomicU32::new(0) }
    }

    async fn next_store(&self) -> DirectoryBlobs {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let root = self.dir.path().join(number.to_string());
        let [published, unpublished, deleted] =
            ["published", "unpublished", "deleted"].map(|name| root.join(name));
        DirectoryBlobs::new(published, unpublished, deleted)
    }
}

/// Stores of files in S3, each in a bucket of its own.
struct Buckets(S3);

impl Buckets {
    async fn new() -> Self {
        Self(S3::shared().await.expect("an S3 server"))
    }

    async fn next_store(&self) -> S3Blobs {
        let settings = S3Settings {
            bucket: self.0.create_bucket().await.expect("a bucket"),
            region: "us-east-1".to_owned(),
            endpoint: Some(self.0.url()),
            key_id: "key".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: None,
            limits: TransferLimits::default(),
        };
        S3Blobs::new(settings).expect("an address")
    }
}
