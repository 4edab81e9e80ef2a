//! The stores of a product under test: its own file, or private servers. Each setup gets a database
//! that no other one uses.

use crate::private::{Persistence, Postgres, PostgresOptions, Redis, RedisOptions};
use std::fmt;
use std::sync::Arc;

/// Connections of a private PostgreSQL: several products run at once, each with a pool.
const MAX_CONNECTIONS: &str = "400";

/// Where a product keeps its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// A file of the product.
    #[default]
    Embedded,
    /// State in Redis, recordings in PostgreSQL.
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

/// The databases of one setup on running servers: one of Redis, one of PostgreSQL, both or none.
/// Servers that are not shared by the whole run end with the last value that refers to them.
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
    /// A file of the product.
    #[must_use]
    pub fn embedded() -> Self {
        let (kind, servers) = (StoreKind::Embedded, Arc::default());
        Self { kind, servers, redis_database: 0, postgres_database: String::new() }
    }

    /// Databases on new servers, which the test may stop.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn start(kind: StoreKind) -> anyhow::Result<Self> {
        Self::start_with(kind, Persistence::None).await
    }

    /// Databases on new servers. PostgreSQL is durable if Redis persists anything.
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
        Self { kind, servers, ..Self::embedded() }.with_new_databases().await
    }

    /// Databases on the servers that all tests of a run share, which cannot be stopped.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn shared(kind: StoreKind) -> anyhow::Result<Self> {
        let redis = match kind {
            StoreKind::RedisAndPostgres => Some(Redis::shared().await?),
            StoreKind::Embedded | StoreKind::Postgres => None,
        };
        let postgres = match kind {
            StoreKind::Embedded => None,
            StoreKind::RedisAndPostgres | StoreKind::Postgres => Some(Postgres::shared().await?),
        };
        let servers = Arc::new(StoreServers { redis, postgres });
        Self { kind, servers, ..Self::embedded() }.with_new_databases().await
    }

    /// New, empty databases on the same servers.
    ///
    /// # Errors
    /// When there is none left, or a server does not answer.
    pub async fn with_new_databases(&self) -> anyhow::Result<Self> {
        let mut stores = self.clone();
        if let Some(redis) = self.redis() {
            stores.redis_database = redis.next_database().await?;
        }
        if let Some(postgres) = self.postgres() {
            stores.postgres_database = postgres.next_database().await?;
        }
        Ok(stores)
    }

    /// Empties the databases. Connections to the PostgreSQL database are closed.
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

    /// The settings of a product that uses these databases.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let redis =
            self.redis().map(|redis| ("REDIS_URL", redis.database_url(self.redis_database)));
        let url = |postgres: &Postgres| ("DATABASE_URL", postgres.url(&self.postgres_database));
        redis.into_iter().chain(self.postgres().map(url)).collect()
    }

    /// The kind of the stores.
    #[must_use]
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The Redis server.
    #[must_use]
    pub fn redis(&self) -> Option<&Redis> {
        self.servers.redis.as_ref()
    }

    /// The number of the Redis database.
    #[must_use]
    pub fn redis_database(&self) -> u32 {
        self.redis_database
    }

    /// The PostgreSQL server.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        self.servers.postgres.as_ref()
    }

    /// The name of the PostgreSQL database.
    #[must_use]
    pub fn postgres_database(&self) -> &str {
        &self.postgres_database
    }
}
