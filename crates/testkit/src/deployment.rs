//! The product with simulated servers, with which most black-box tests begin.

use crate::product::{Product, Setup};
use crate::stores::TestStores;
use bbb_sim::{BbbPool, BbbServer, PoolOptions};
use std::collections::HashMap;

/// A balancer with simulated servers.
#[derive(Debug)]
pub struct TestDeployment {
    /// The servers, all enabled.
    pub pool: BbbPool,
    /// The balancer.
    pub product: Product,
}

/// Several balancers with the same servers and the same stores.
#[derive(Debug)]
pub struct ReplicatedDeployment {
    /// The servers, all enabled.
    pub pool: BbbPool,
    /// The balancers. Each may be killed and restarted separately.
    pub products: Vec<Product>,
}

impl TestDeployment {
    /// Starts a balancer with these settings and `servers` servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn new(
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        Self::with_stores(&TestStores::embedded(), binary, servers, settings).await
    }

    /// Starts a balancer with these stores, settings and `servers` servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn with_stores(
        stores: &TestStores,
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        Self::in_front_of(BbbPool::start(options).await?, stores, binary, settings).await
    }

    /// The same in front of servers that are there already.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn in_front_of(
        pool: BbbPool,
        stores: &TestStores,
        binary: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let product = start_product(&pool, stores, binary, settings).await?;
        Ok(Self { pool, product })
    }

    /// Starts one more balancer in front of the same servers, which knows nothing of the first: it has
    /// a store of its own, of the same kind, and was told of all servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn start_second_balancer(
        &self,
        binary: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Product> {
        let stores = self.product.setup().stores().with_new_databases().await?;
        start_product(&self.pool, &stores, binary, settings).await
    }

    /// Tells the balancer of a server once more, under the URL of another port of that server;
    /// returns the URL and the id of the new entry.
    ///
    /// # Errors
    /// When the port cannot be opened or the balancer refuses the URL.
    pub async fn add_twin(&self, number: usize) -> anyhow::Result<(String, String)> {
        let server = self.pool.server(number);
        let url = server.open_alias()?;
        let id = self.product.add_server(&url, &server.secret()).await?;
        Ok((url, id))
    }

    /// Starts `count` balancers with the same stores and settings, and `servers` servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn start_replicas(
        count: usize,
        stores: &TestStores,
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<ReplicatedDeployment> {
        let Self { pool, product } = Self::with_stores(stores, binary, servers, settings).await?;
        let setup = product.setup().clone();
        let mut products = vec![product];
        for number in 2..=count {
            products.push(setup.replica(number).start().await?);
        }
        Ok(ReplicatedDeployment { pool, products })
    }

    /// The servers that have a meeting of this id.
    #[must_use]
    pub fn servers_with(&self, meeting: &str) -> Vec<&BbbServer> {
        servers_with(&self.pool, meeting)
    }
}

impl ReplicatedDeployment {
    /// The servers that have a meeting of this id.
    #[must_use]
    pub fn servers_with(&self, meeting: &str) -> Vec<&BbbServer> {
        servers_with(&self.pool, meeting)
    }
}

/// Starts a product and tells it of all servers of the pool.
async fn start_product(
    pool: &BbbPool,
    stores: &TestStores,
    binary: &str,
    settings: &[(&str, &str)],
) -> anyhow::Result<Product> {
    let mut setup = Setup::new(binary)?.with_stores(stores);
    for (name, value) in settings {
        setup = setup.with_setting(name, value);
    }
    let product = setup.start().await?;
    for server in pool.servers() {
        product.add_simulated_server(server).await?;
    }
    Ok(product)
}

/// The servers that have a meeting, by the meeting's id.
#[must_use]
pub fn servers_by_meeting(pool: &BbbPool) -> HashMap<String, Vec<&BbbServer>> {
    let mut servers: HashMap<String, Vec<&BbbServer>> = HashMap::new();
    for server in pool.servers() {
        for meeting in server.meetings() {
            servers.entry(meeting.id).or_default().push(server);
        }
    }
    servers
}

fn servers_with<'a>(pool: &'a BbbPool, meeting: &str) -> Vec<&'a BbbServer> {
    let has = |server: &&BbbServer| server.meeting(meeting).is_some();
    pool.servers().iter().filter(has).collect()
}
