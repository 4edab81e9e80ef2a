//! The product with simulated servers behind it, which is what most black-box tests begin with.

use crate::product::{Product, Setup};
use crate::stores::Stores;
use bbb_sim::{Pool, PoolOptions, Server};
use std::collections::HashMap;

/// A product with the simulated servers that it was told of.
#[derive(Debug)]
pub struct World {
    /// The servers, all enabled.
    pub pool: Pool,
    /// The balancer.
    pub product: Product,
}

/// Several balancers in front of the same servers and on the same state.
#[derive(Debug)]
pub struct Replicas {
    /// The servers, all enabled.
    pub pool: Pool,
    /// The balancers, each of which may be killed and restarted by itself.
    pub products: Vec<Product>,
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
        Self::on(&Stores::embedded(), binary, servers, settings).await
    }

    /// The same with its state in these stores.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn on(
        stores: &Stores,
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = Pool::start(options).await?;
        let mut setup = Setup::new(binary)?.on(stores);
        for (name, value) in settings {
            setup = setup.with(name, value);
        }
        let product = setup.start().await?;
        for server in pool.servers() {
            product.add(server).await?;
        }
        Ok(Self { pool, product })
    }

    /// So many products of the same settings, of which the first was told of the servers.
    ///
    /// # Errors
    /// When anything does not start.
    pub async fn replicas(
        count: usize,
        stores: &Stores,
        binary: &str,
        servers: usize,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Replicas> {
        let Self { pool, product } = Self::on(stores, binary, servers, settings).await?;
        let setup = product.setup().clone();
        let mut products = vec![product];
        for number in 2..=count {
            products.push(setup.replica(number).start().await?);
        }
        Ok(Replicas { pool, products })
    }

    /// The servers that have a meeting of this id.
    #[must_use]
    pub fn servers_with(&self, meeting: &str) -> Vec<&Server> {
        servers_with(&self.pool, meeting)
    }
}

impl Replicas {
    /// The servers that have a meeting of this id.
    #[must_use]
    pub fn servers_with(&self, meeting: &str) -> Vec<&Server> {
        servers_with(&self.pool, meeting)
    }
}

/// The servers of each meeting, as they themselves say.
#[must_use]
pub fn homes(pool: &Pool) -> HashMap<String, Vec<&Server>> {
    let mut homes: HashMap<String, Vec<&Server>> = HashMap::new();
    for server in pool.servers() {
        for meeting in server.meetings() {
            homes.entry(meeting.id).or_default().push(server);
        }
    }
    homes
}

fn servers_with<'a>(pool: &'a Pool, meeting: &str) -> Vec<&'a Server> {
    let has = |server: &&Server| server.meeting(meeting).is_some();
    pool.servers().iter().filter(has).collect()
}
