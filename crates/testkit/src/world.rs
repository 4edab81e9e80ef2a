//! The product with simulated servers behind it, which is what most black-box tests begin with.

use crate::product::{Product, Setup};
use bbb_sim::{Pool, PoolOptions, Server};

/// A product with the simulated servers that it was told of.
#[derive(Debug)]
pub struct World {
    /// The servers, all enabled.
    pub pool: Pool,
    /// The balancer.
    pub product: Product,
}

impl World {
    /// A product of these settings with that many servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn new(
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = Pool::start(options).await?;
        let mut setup = Setup::new(binary)?;
        for (name, value) in settings {
            setup = setup.with(name, value);
        }
        let product = setup.start().await?;
        for server in pool.servers() {
            product.add(server).await?;
        }
        Ok(Self { pool, product })
    }

    /// The servers that have a meeting of this id.
    #[must_use]
    pub fn servers_with(&self, meeting: &str) -> Vec<&Server> {
        let has = |server: &&Server| server.meetings().iter().any(|one| one.id == meeting);
        self.pool.servers().iter().filter(has).collect()
    }
}
