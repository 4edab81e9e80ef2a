//! One of two replicas is killed under load: the other one has every meeting whose create
//! succeeded, is not blocked by calls that the killed one did not finish, and polls.

use anyhow::{Context as _, ensure};
use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};

use crate::load::LoadClients;
use crate::polls::count_polls;
use crate::proof::check_record;
use crate::tools::{assert_no_panic, on_each_store, slow_down, start_replicas};

const SERVERS: usize = 4;
const CREATES: usize = 40;
on_each_store!(a_killed_replica_loses_nothing);

async fn a_killed_replica_loses_nothing(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let mut deployment = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&deployment.pool);
    let load = LoadClients::on(&deployment.products);
    load.wait_until_created(CREATES).await?;
    let mut killed = deployment.products.remove(0);
    killed.kill().await?;
    let before = count_polls(&deployment.pool);
    // Two polls, since the first one may have been begun by the killed replica.
    let is_polled = async || {
        let now = count_polls(&deployment.pool);
        now.iter().zip(&before).all(|(now, before)| *now >= before + 2)
    };
    wait_until("polled by the other replica", is_polled).await?;
    load.wait_until_created(CREATES).await?;
    let record = load.finish().await?;
    ensure!(record.aborted > 0, "no call was interrupted");
    ensure!(record.unavailable == 0, "{record:#?}");
    let other = deployment.products.first().context("the other replica")?;
    check_record(&record, other, &deployment.pool).await?;
    assert_no_panic(&deployment.products);
    Ok(())
}
