//! Where a product under test keeps its state: in its own file, or on private servers. Each setup
//! gets a share of the servers that nobody else uses.

use crate::private::{Persistence, Postgres, PostgresOptions, Redis, RedisOptions};
use std::fmt;
use std::sync::Arc;

/// Room for many products at once, each with a pool of connections.
const MAX_CONNECTIONS: &str = "400";

/// Where state is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// In a file of the product's own.
    #[default]
    Embedded,
    /// Hot state in Redis, recordings in PostgreSQL.
    RedisAndPostgres,
    /// Everything in PostgreSQL.
    Postgres,
}

impl StoreKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::RedisAndPostgres, Self::Postgres];
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::RedisAndPostgres => "redis",
            Self::Postgres => "postgres",
        })
    }
}

/// One setup's share of running servers: a database of Redis, one of PostgreSQL, or nothing. The
/// servers run as long as anybody holds a share of them.
#[derive(Clone, Debug)]
pub struct TestStores {
    kind: StoreKind,
    servers: Arc<StoreServers>,
    redis_database: u32,
    postgres_database: String,
}

#[derive(Debug, Default)]
struct StoreServers {
    redis: Option<Redis>,
    postgres: Option<Postgres>,
}

impl TestStores {
    /// No servers.
    #[must_use]
    pub fn embedded() -> Self {
        let (kind, servers) = (StoreKind::Embedded, Arc::default());
        Self { kind, servers, redis_database: 0, postgres_database: String::new() }
    }

    /// The first share of new servers, which forget everything with the machine.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn start(kind: StoreKind) -> anyhow::Result<Self> {
        Self::start_with(kind, Persistence::None).await
    }

    /// The first share of new servers; PostgreSQL writes to disk if Redis persists anything.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn start_with(kind: StoreKind, persistence: Persistence) -> anyhow::Result<Self> {
        let redis = async {
            let options = RedisOptions::default().persistence(persistence);
            match kind {
                StoreKind::RedisAndPostgres => Redis::start_with(options).await.map(Some),
                StoreKind::Embedded | StoreKind::Postgres => Ok(None),
            }
        };
        let postgres = async {
            let durable = persistence != Persistence::None;
            let options = PostgresOptions::default().durable(durable);
            match kind {
                StoreKind::Embedded => Ok(None),
                StoreKind::RedisAndPostgres | StoreKind::Postgres => {
                    let options = options.setting("max_connections", MAX_CONNECTIONS);
                    Postgres::start_with(options).await.map(Some)
                }
            }
        };
        let (redis, postgres) = tokio::try_join!(redis, postgres)?;
        let servers = Arc::new(StoreServers { redis, postgres });
        Self { kind, servers, ..Self::embedded() }.new_share().await
    }

    /// Another, empty share of the same servers.
    ///
    /// # Errors
    /// When there is none left.
    pub async fn new_share(&self) -> anyhow::Result<Self> {
        let mut share = self.clone();
        if let Some(redis) = self.redis() {
            share.redis_database = redis.next_database()?;
        }
        if let Some(postgres) = self.postgres() {
            share.postgres_database = postgres.next_database().await?;
        }
        Ok(share)
    }

    /// Empties this share, also of what is running on it: connections to PostgreSQL are cut.
    ///
    /// # Errors
    /// When a server does not answer.
    pub async fn clear(&self) -> anyhow::Result<()> {
        if let Some(redis) = self.redis() {
            redis.flush_database(self.redis_database).await?;
        }
        if let Some(postgres) = self.postgres() {
            postgres.recreate_database(&self.postgres_database).await?;
        }
        Ok(())
    }

    /// What a product is told of it.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let redis =
            self.redis().map(|redis| ("REDIS_URL", redis.database_url(self.redis_database)));
        let url = |postgres: &Postgres| ("DATABASE_URL", postgres.url(&self.postgres_database));
        redis.into_iter().chain(self.postgres().map(url)).collect()
    }

    /// Where state is kept.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The Redis of all shares, to be asked or broken.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.servers.redis.as_ref()
    }

    /// Number of this share's database in Redis.
    #[must_use]
    pub fn redis_database(&self) -> u32 {
        self.redis_database
    }

    /// The PostgreSQL of all shares, to be asked or broken.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        self.servers.postgres.as_ref()
    }

    /// Name of this share's database in PostgreSQL.
    #[must_use]
    pub fn postgres_database(&self) -> &str {
        &self.postgres_database
    }
}
