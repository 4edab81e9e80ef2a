//! One of two replicas is killed under load: the other has all that was answered, is not held up by
//! what was not, and polls.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};
use tokio::time::Instant;

use crate::load::LoadClients;
use crate::polls::count_polls;
use crate::proof::check_record;
use crate::tools::{assert_no_panic, on_each_store, slow_down, start_replicas};

const SERVERS: usize = 4;
const CREATES: usize = 40;
/// Two polls: one may be that of the dead one. An interval each, and leave for a busy machine.
const TWO_POLL_TIME: Duration = Duration::from_millis(3_500);

on_each_store!(a_killed_replica_loses_nothing);

async fn a_killed_replica_loses_nothing(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let mut world = start_replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&world.pool);
    let load = LoadClients::on(&world.products);
    load.wait_until_created(CREATES).await?;
    let mut dead = world.products.remove(0);
    dead.kill().await?;
    let (killed, before) = (Instant::now(), count_polls(&world.pool));
    let polls_go_on = async || {
        let now = count_polls(&world.pool);
        now.iter().zip(&before).all(|(now, before)| *now >= before + 2)
    };
    wait_until("polled by the survivor", polls_go_on).await?;
    ensure!(killed.elapsed() < TWO_POLL_TIME, "polled only after {:?}", killed.elapsed());
    load.wait_until_created(CREATES).await?;
    let record = load.finish().await?;
    ensure!(record.aborted > 0, "nobody noticed the kill");
    ensure!(record.unavailable == 0, "{record:#?}");
    let survivor = world.products.first().context("nobody is left")?;
    check_record(&record, survivor, &world.pool).await?;
    assert_no_panic(&world.products);
    Ok(())
}
