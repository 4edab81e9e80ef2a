//! Ends that several replicas find at the same time are told once.

use anyhow::ensure;
use futures_util::future::{try_join, try_join_all};
use testkit::deployment::ReplicatedDeployment;
use testkit::end_receiver::{EndReceiver, TELLS_ENDS, carry_reports};
use testkit::product::wait_until;
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{assert_no_panic, create_query, is_success, on_each_store, start_replicas};

const MEETINGS: usize = 20;

on_each_store!(ends_are_told_by_one_replica);

async fn create(
    deployment: &ReplicatedDeployment,
    receiver: &EndReceiver,
    number: usize,
) -> anyhow::Result<()> {
    let id = format!("m{number}");
    let address = receiver.parameter("meetingEndedURL", &id);
    let product = &deployment.products[number % 2];
    let response = product.call("create", &format!("{}&{address}", create_query(&id))).await?;
    ensure!(is_success(&response), "{id}");
    Ok(())
}

/// Reports all ends to both replicas, while both poll.
async fn report(deployment: &ReplicatedDeployment) -> anyhow::Result<()> {
    let reports = deployment.products.iter().flat_map(|product| {
        deployment.pool.servers().iter().map(move |server| carry_reports(server, product))
    });
    let polls = deployment.products.iter().map(|product| product.poll_servers());
    try_join(try_join_all(reports), try_join_all(polls)).await.map(drop)
}

async fn ends_are_told_by_one_replica(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let settings = [&TELLS_ENDS[..], &[("MEETING_GRACE", "0")]].concat();
    let deployment = start_replicas(2, &stores, 3, &settings).await?;
    let receiver = EndReceiver::start().await?;
    try_join_all((0..=MEETINGS).map(|number| create(&deployment, &receiver, number))).await?;
    let end = |number: usize| {
        let id = format!("m{number}");
        deployment.servers_with(&id)[0].end_meeting(&id)
    };
    ensure!((0..MEETINGS).all(end), "a meeting is missing");
    report(&deployment).await?;
    report(&deployment).await?;
    wait_until("told", async || receiver.calls().len() >= MEETINGS).await?;
    ensure!(end(MEETINGS), "the last meeting is missing");
    report(&deployment).await?;
    wait_until("told of the last one", async || receiver.calls().len() > MEETINGS).await?;
    report(&deployment).await?;
    let mut expected: Vec<_> = (0..=MEETINGS).map(|number| format!("GET /m{number}")).collect();
    expected.sort();
    ensure!(receiver.calls() == expected, "{:?}", receiver.calls());
    assert_no_panic(&deployment.products);
    Ok(())
}
