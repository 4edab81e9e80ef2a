//! Two replicas get joins to the meetings of a dead server at the same time: each meeting is made anew once, and
//! all users are sent to it.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bbb_sim::{FaultMode, Latency};
use testkit::product::{exchange, new_request, signed_target, wait_until};
use testkit::responses::describe_response;
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{assert_no_panic, create, on_each_store, start_replicas};

const MEETINGS: usize = 12;
const JOINS_PER_MEETING: usize = 6;

on_each_store!(joins_on_two_replicas_make_each_meeting_once);

async fn joins_on_two_replicas_make_each_meeting_once(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let deployment = start_replicas(2, &stores, 3, &[]).await?;
    let (products, pool) = (&deployment.products, &deployment.pool);
    for n in 0..MEETINGS {
        create(products.first().context("a replica")?, &format!("m{n}")).await?;
    }
    let dead = pool.server(1);
    let lost: Vec<String> = dead.meetings().into_iter().map(|meeting| meeting.id).collect();
    ensure!(!lost.is_empty(), "no meeting is on the server that dies");
    dead.set_fault(FaultMode::Refuse);
    for product in products.iter().chain(products) {
        product.poll_servers().await?;
    }
    let alive = [pool.server(2), pool.server(3)];
    for server in alive {
        server.set_create_latency(Latency::Fixed(Duration::from_millis(400)));
        let _ = server.take_log();
    }
    let mut joins = Vec::new();
    for (n, id) in lost.iter().cycle().take(lost.len() * JOINS_PER_MEETING).enumerate() {
        let (id, port) = (id.clone(), products[n / lost.len() % products.len()].port());
        joins.push(tokio::spawn(async move {
            let target = signed_target("join", &format!("meetingID={id}&fullName=A&role=VIEWER"));
            (id, exchange(port, &new_request("GET", &target)).await)
        }));
    }
    let mut sent_to: HashMap<String, String> = HashMap::new();
    for join in joins {
        let (id, response) = join.await?;
        let response = response?;
        ensure!(response.status == 302, "join of {id}: {}", describe_response(&response));
        let location = response.header("location").context("no location")?;
        let server = location.split('?').next().unwrap_or_default().to_owned();
        let first = sent_to.entry(id.clone()).or_insert_with(|| server.clone());
        ensure!(*first == server, "{id}: {first} and {server}");
    }
    for id in &lost {
        let having = alive.iter().filter(|server| server.meeting(id).is_some()).count();
        ensure!(having == 1, "{id} is on {having} servers");
    }
    let creates: usize = alive
        .iter()
        .map(|server| server.take_log().iter().filter(|it| it.call == "create").count())
        .sum();
    ensure!(creates == lost.len(), "{creates} creates of {} meetings", lost.len());
    // An old server that comes back empty is of no consequence.
    dead.clear_fault();
    let is_stable = async || {
        let polled = products[0].poll_servers().await.is_ok();
        polled && lost.iter().all(|id| deployment.servers_with(id).len() == 1)
    };
    wait_until("one copy of each meeting is left", is_stable).await?;
    assert_no_panic(products);
    Ok(())
}
