//! After the storm: what clients were told is so, and what they were not told does not stand in the
//! way of anybody.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bbb_sim::{BbbPool, BbbServer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use testkit::deployment::servers_by_meeting;
use testkit::product::Product;
use tokio::time::Instant;

use crate::load::{CreatedMeeting, LoadRecord};
use crate::tools::{create, describe_response, is_success};

/// How long a create may take whose forerunner was cut off.
const MAX_FREE_TIME: Duration = Duration::from_secs(10);
const CONCURRENCY: usize = 16;

/// Proves a record by what this product and the servers say now.
pub(crate) async fn check_record(
    record: &LoadRecord,
    product: &Product,
    pool: &BbbPool,
) -> anyhow::Result<()> {
    ensure!(record.unexpected.is_empty(), "{:#?}", record.unexpected);
    ensure!(record.joined > 0, "nobody joined");
    let bridges: HashSet<_> = record.created.iter().map(|one| &one.voice_bridge).collect();
    ensure!(bridges.len() == record.created.len(), "voice bridges were given twice");
    let there = servers_by_meeting(pool);
    let kept = record.created.iter().map(|one| assert_kept(one, product, &there));
    stream::iter(kept).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let free = record.uncertain.iter().map(|id| assert_free(id, product));
    stream::iter(free).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    for (id, servers) in servers_by_meeting(pool) {
        ensure!(servers.len() == 1, "{id} is on {} servers", servers.len());
    }
    let meetings: Vec<_> = pool.servers().iter().flat_map(BbbServer::meetings).collect();
    let bridges: HashSet<_> = meetings.iter().map(|one| &one.voice_bridge).collect();
    ensure!(bridges.len() == meetings.len(), "servers have voice bridges twice");
    Ok(())
}

/// A meeting that somebody was told is there lives on one server, and the product knows it.
async fn assert_kept(
    one: &CreatedMeeting,
    product: &Product,
    homes: &HashMap<String, Vec<&BbbServer>>,
) -> anyhow::Result<()> {
    let id = &one.id;
    let there = homes.get(id).map_or(&[][..], Vec::as_slice);
    ensure!(there.len() == 1, "{id} is on {} servers", there.len());
    let info = product.call("getMeetingInfo", &format!("meetingID={id}")).await?;
    ensure!(is_success(&info), "{id} is lost: {}", describe_response(&info));
    ensure!(info.xml_field("internalMeetingID") == one.internal_id, "{id} is another");
    ensure!(info.xml_field("voiceBridge") == one.voice_bridge, "{id} has another voice bridge");
    let query = format!("meetingID={id}&fullName=B&role=VIEWER");
    let join = product.call("join", &query).await?;
    let location = join.header("location").with_context(|| describe_response(&join))?;
    ensure!(location.starts_with(&there[0].url()), "{id} is joined at {location}");
    Ok(())
}

/// A meeting whose create had no good end can be created.
async fn assert_free(id: &str, product: &Product) -> anyhow::Result<()> {
    let started = Instant::now();
    create(product, id).await?;
    ensure!(started.elapsed() < MAX_FREE_TIME, "{id} took {:?}", started.elapsed());
    Ok(())
}
