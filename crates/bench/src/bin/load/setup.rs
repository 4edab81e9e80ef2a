//! A balancer with simulated servers, ready for requests.

use crate::client::ExpectedResponse;
use crate::product::{Product, Program};
use crate::round::{RequestLoad, RequestSource};
use crate::signing;
use bbb_sim::{BbbPool, PoolOptions, Preload};

/// Number of users in every meeting.
const USERS: u32 = 5;
/// Number of creates at the same time during the setup.
const CONCURRENT_CREATES: usize = 8;

/// A balancer with servers that are enabled, polled and without latency.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) product: Product,
    pub(crate) pool: BbbPool,
}

impl Setup {
    /// Starts a balancer with this number of servers. On each of them run `meetings_each` meetings
    /// that were not created through the balancer.
    pub(crate) async fn start(
        program: &Program,
        servers: usize,
        meetings_each: usize,
    ) -> anyhow::Result<Self> {
        let options = PoolOptions { servers, ..PoolOptions::default() };
        let pool = BbbPool::start(options).await?;
        for server in pool.servers() {
            server.set_logging(false);
            let id = |n| format!("s{}-m{n}", server.number());
            server.preload(Preload {
                ids: (1..=meetings_each).map(id).collect(),
                users: USERS,
                ..Preload::default()
            });
        }
        let product = program.start().await?;
        let servers = pool.servers().iter().map(|server| (server.url(), server.secret()));
        product.add_servers(servers).await?;
        Ok(Self { product, pool })
    }

    /// Creates this number of meetings through the balancer, with users in each; returns their ids.
    pub(crate) async fn create_meetings(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let ids: Vec<String> = (1..=count).map(|n| format!("meeting-{n:04}")).collect();
        let targets: Result<_, _> = ids.iter().map(|id| signing::create_target(id)).collect();
        let source = RequestSource::single_pass(self.product.port(), targets?);
        RequestLoad::new(vec![source], ExpectedResponse::Success, CONCURRENT_CREATES)
            .send_all()
            .await?;
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
