//! Creates of the same meeting that race through two replicas all return the same meeting.

use std::collections::HashSet;

use anyhow::ensure;
use futures_util::future::try_join_all;
use testkit::stores::{StoreKind, TestStores};

use crate::tools::{assert_no_panic, create, on_each_store, slow_down, start_replicas};

const SERVERS: usize = 5;
const MEETINGS: usize = 100;
/// The load of a new meeting.
const EXPECTED_USERS: f64 = 15.0;

on_each_store!(creates_that_race_end_on_one_server);

async fn creates_that_race_end_on_one_server(kind: StoreKind) -> anyhow::Result<()> {
    let stores = TestStores::start(kind).await?;
    let deployment = start_replicas(2, &stores, SERVERS, &[]).await?;
    slow_down(&deployment.pool);
    let [first, second] = &deployment.products[..] else { anyhow::bail!("not two replicas") };
    let race = async |n: usize| {
        let id = format!("race-{n}");
        try_join_all([first, second, first, second].map(async |product| create(product, &id).await))
            .await
    };
    let races = try_join_all((0..MEETINGS).map(race)).await?;
    let mut bridges = HashSet::new();
    for (n, responses) in races.iter().enumerate() {
        let id = format!("race-{n}");
        ensure!(deployment.servers_with(&id).len() == 1, "{id} is not on one server");
        for name in ["voiceBridge", "internalMeetingID"] {
            let values: HashSet<_> =
                responses.iter().map(|response| response.xml_field(name)).collect();
            ensure!(values.len() == 1 && !values.contains(""), "{id}: {name} {values:?}");
        }
        ensure!(bridges.insert(responses[0].xml_field("voiceBridge")), "{id}: voice bridge taken");
    }
    for product in &deployment.products {
        let loads = product.list_loads().await?;
        let mean = EXPECTED_USERS * MEETINGS as f64 / SERVERS as f64;
        let is_even = |load: f64| (0.9..1.1).contains(&(load / mean));
        ensure!(
            loads.len() == SERVERS && loads.iter().all(|(_, load)| is_even(*load)),
            "{loads:?}"
        );
        let sum: f64 = loads.iter().map(|(_, load)| load).sum();
        ensure!((sum - EXPECTED_USERS * MEETINGS as f64).abs() < 0.01, "{loads:?}");
    }
    assert_no_panic(&deployment.products);
    Ok(())
}
