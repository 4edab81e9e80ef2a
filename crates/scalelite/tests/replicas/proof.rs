//! Compares the record of the clients with the balancer and the servers: every meeting whose create
//! succeeded runs once, and every other meeting can be created.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, ensure};
use bbb_sim::{BbbPool, BbbServer};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use testkit::deployment::servers_by_meeting;
use testkit::product::{ClientResponse, Product, wait_until};

use crate::load::{CreatedMeeting, LoadRecord};
use crate::tools::{create_query, describe_response, is_success, is_unavailable};

/// The number of meetings that are checked at the same time.
const CONCURRENCY: usize = 16;

/// Checks a record by calls to this balancer and by the meetings of the servers.
pub(crate) async fn check_record(
    record: &LoadRecord,
    product: &Product,
    pool: &BbbPool,
) -> anyhow::Result<()> {
    ensure!(record.unexpected.is_empty(), "{:#?}", record.unexpected);
    ensure!(record.joined > 0, "no join succeeded");
    let bridges: HashSet<_> = record.created.iter().map(|meeting| &meeting.voice_bridge).collect();
    ensure!(bridges.len() == record.created.len(), "two creates returned the same voice bridge");
    let servers = servers_by_meeting(pool);
    let kept = record.created.iter().map(|meeting| assert_kept(meeting, product, &servers));
    stream::iter(kept).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let free = record.uncertain.iter().map(|id| assert_free(id, product));
    stream::iter(free).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    for (id, servers) in servers_by_meeting(pool) {
        ensure!(servers.len() == 1, "{id} is on {} servers", servers.len());
    }
    let meetings: Vec<_> = pool.servers().iter().flat_map(BbbServer::meetings).collect();
    let bridges: HashSet<_> = meetings.iter().map(|meeting| &meeting.voice_bridge).collect();
    ensure!(bridges.len() == meetings.len(), "two meetings have the same voice bridge");
    Ok(())
}

/// A meeting whose create succeeded runs on one server, and the balancer knows it.
async fn assert_kept(
    meeting: &CreatedMeeting,
    product: &Product,
    servers_by_id: &HashMap<String, Vec<&BbbServer>>,
) -> anyhow::Result<()> {
    let id = &meeting.id;
    let servers = servers_by_id.get(id).map_or(&[][..], Vec::as_slice);
    ensure!(servers.len() == 1, "{id} is on {} servers", servers.len());
    let info = call_available(product, "getMeetingInfo", &format!("meetingID={id}")).await?;
    ensure!(is_success(&info), "{id} is lost: {}", describe_response(&info));
    ensure!(info.xml_field("internalMeetingID") == meeting.internal_id, "{id} is another meeting");
    ensure!(info.xml_field("voiceBridge") == meeting.voice_bridge, "{id} has another voice bridge");
    let query = format!("meetingID={id}&fullName=B&role=VIEWER");
    let join = call_available(product, "join", &query).await?;
    let location = join.header("location").with_context(|| describe_response(&join))?;
    ensure!(location.starts_with(&servers[0].url()), "{id} is joined at {location}");
    Ok(())
}

/// A meeting whose create failed or had no response can be created.
async fn assert_free(id: &str, product: &Product) -> anyhow::Result<()> {
    let created = call_available(product, "create", &create_query(id)).await?;
    ensure!(is_success(&created), "create {id}: {}", describe_response(&created));
    Ok(())
}

/// Makes a call until the store is available: on a busy machine a statement may exceed the short
/// timeout that some tests set.
async fn call_available(
    product: &Product,
    name: &str,
    query: &str,
) -> anyhow::Result<ClientResponse> {
    let mut response = product.call(name, query).await?;
    let is_answered = async || {
        if is_unavailable(&response)
            && let Ok(next) = product.call(name, query).await
        {
            response = next;
        }
        !is_unavailable(&response)
    };
    wait_until("answered with a store", is_answered).await?;
    Ok(response)
}
