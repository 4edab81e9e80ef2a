//! A balancer and its simulated servers, ready to be asked.

use crate::client::ExpectedResponse;
use crate::product::{Product, Program};
use crate::round::{RequestLoad, RequestSource};
use crate::signing;
use bbb_sim::{BbbPool, PoolOptions, Preload};

/// Users in every meeting.
const USERS: u32 = 5;
/// Creates at the same time while the stage is set.
const CREATES_AT_ONCE: usize = 8;

/// A balancer with servers that are enabled and polled, and answer at once.
#[derive(Debug)]
pub(crate) struct BenchSetup {
    pub(crate) product: Product,
    pub(crate) pool: BbbPool,
}

impl BenchSetup {
    /// With so many servers, on each of which there are so many meetings that nobody created
    /// through the balancer.
    pub(crate) async fn start(
        program: &Program,
        servers: usize,
        each: usize,
    ) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = BbbPool::start(options).await?;
        for server in pool.servers() {
            server.set_logging(false);
            let id = |n| format!("s{}-m{n}", server.number());
            server.preload(Preload {
                ids: (1..=each).map(id).collect(),
                users: USERS,
                ..Preload::default()
            });
        }
        let product = program.start().await?;
        product.add_servers(pool.servers()).await?;
        Ok(Self { product, pool })
    }

    /// Creates so many meetings through the balancer, with users in each, and returns their ids.
    pub(crate) async fn create_meetings(&self, meetings: usize) -> anyhow::Result<Vec<String>> {
        let ids: Vec<String> = (1..=meetings).map(|n| format!("meeting-{n:04}")).collect();
        let targets: Result<_, _> = ids.iter().map(|id| signing::create_target(id)).collect();
        let aim = RequestSource::single_pass(self.product.port(), targets?);
        RequestLoad::new(vec![aim], ExpectedResponse::Success, CREATES_AT_ONCE).send_all().await?;
        for server in self.pool.servers() {
            for meeting in server.meetings() {
                server.set_users(&meeting.id, USERS, 1);
            }
        }
        Ok(ids)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.product.stop().await
    }
}
