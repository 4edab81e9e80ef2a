//! After the storm: what clients were told is so, and what they were not told does not stand in the
//! way of anybody.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bbb_sim::{Pool, Server};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use testkit::product::Product;
use testkit::world::homes;
use tokio::time::Instant;

use crate::load::{Created, Record};
use crate::tools::{create, is_success, told};

/// How long a create may take whose forerunner was cut off.
const FREED_AFTER: Duration = Duration::from_secs(10);
const AT_ONCE: usize = 16;

/// Proves a record by what this product and the servers say now.
pub(crate) async fn prove(record: &Record, product: &Product, pool: &Pool) -> anyhow::Result<()> {
    ensure!(record.odd.is_empty(), "{:#?}", record.odd);
    ensure!(record.joined > 0, "nobody joined");
    let bridges: HashSet<_> = record.created.iter().map(|one| &one.voice_bridge).collect();
    ensure!(bridges.len() == record.created.len(), "voice bridges were given twice");
    let there = homes(pool);
    let kept = record.created.iter().map(|one| is_kept(one, product, &there));
    stream::iter(kept).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    let free = record.uncertain.iter().map(|id| is_free(id, product));
    stream::iter(free).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    for (id, servers) in homes(pool) {
        ensure!(servers.len() == 1, "{id} is on {} servers", servers.len());
    }
    let meetings: Vec<_> = pool.servers().iter().flat_map(Server::meetings).collect();
    let bridges: HashSet<_> = meetings.iter().map(|one| &one.voice_bridge).collect();
    ensure!(bridges.len() == meetings.len(), "servers have voice bridges twice");
    Ok(())
}

/// A meeting that somebody was told is there lives on one server, and the product knows it.
async fn is_kept(
    one: &Created,
    product: &Product,
    homes: &HashMap<String, Vec<&Server>>,
) -> anyhow::Result<()> {
    let id = &one.id;
    let there = homes.get(id).map_or(&[][..], Vec::as_slice);
    ensure!(there.len() == 1, "{id} is on {} servers", there.len());
    let info = product.call("getMeetingInfo", &format!("meetingID={id}")).await?;
    ensure!(is_success(&info), "{id} is lost: {}", told(&info));
    ensure!(info.field("internalMeetingID") == one.internal_id, "{id} is another");
    ensure!(info.field("voiceBridge") == one.voice_bridge, "{id} has another voice bridge");
    let query = format!("meetingID={id}&fullName=B&role=VIEWER");
    let join = product.call("join", &query).await?;
    let location = join.header("location").with_context(|| told(&join))?;
    ensure!(location.starts_with(&there[0].url()), "{id} is joined at {location}");
    Ok(())
}

/// A meeting whose create had no good end can be created.
async fn is_free(id: &str, product: &Product) -> anyhow::Result<()> {
    let started = Instant::now();
    create(product, id).await?;
    ensure!(started.elapsed() < FREED_AFTER, "{id} took {:?}", started.elapsed());
    Ok(())
}
