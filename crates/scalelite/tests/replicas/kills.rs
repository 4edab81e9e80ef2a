//! One of two replicas is killed under load: the other has all that was answered, is not held up by
//! what was not, and polls.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use testkit::product::until;
use testkit::stores::{Kind, Stores};
use tokio::time::Instant;

use crate::load::Load;
use crate::polls::asked;
use crate::proof::prove;
use crate::tools::{assert_calm, on_each_store, replicas, slow_down};

const SERVERS: usize = 4;
const CREATES: usize = 40;
/// Two polls: one may be that of the dead one. An interval each, and leave for a busy machine.
const TWO_POLLS: Duration = Duration::from_millis(3_500);

on_each_store!(a_replica_that_is_killed_is_not_missed);

async fn a_replica_that_is_killed_is_not_missed(kind: Kind) -> anyhow::Result<()> {
    let stores = Stores::start(kind).await?;
    let mut world = replicas(2, &stores, SERVERS, &[("POLL_INTERVAL", "1")]).await?;
    slow_down(&world.pool);
    let load = Load::on(&world.products);
    load.until_created(CREATES).await?;
    let mut dead = world.products.remove(0);
    dead.kill().await?;
    let (killed, before) = (Instant::now(), asked(&world.pool));
    let polls_go_on = async || {
        let now = asked(&world.pool);
        now.iter().zip(&before).all(|(now, before)| *now >= before + 2)
    };
    until("polled by the survivor", polls_go_on).await?;
    ensure!(killed.elapsed() < TWO_POLLS, "polled only after {:?}", killed.elapsed());
    load.until_created(CREATES).await?;
    let record = load.finish().await?;
    ensure!(record.cut > 0, "nobody noticed the kill");
    ensure!(record.unavailable == 0, "{record:#?}");
    let survivor = world.products.first().context("nobody is left")?;
    prove(&record, survivor, &world.pool).await?;
    assert_calm(&world.products);
    Ok(())
}
