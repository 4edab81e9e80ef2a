//! Heartbeats: a death and a return are noticed between polls, however seldom polls are.

use bbb_sim::FaultMode;
use testkit::deployment::TestDeployment;
use testkit::product::wait_until;

use crate::tools::start_deployment_with;

/// Which servers are online, in the order in which they were added.
async fn list_online(deployment: &TestDeployment) -> Vec<bool> {
    let output = deployment.product.setup().run_command(&["servers", "--json"]).await.unwrap();
    let servers: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let servers = servers.as_array().unwrap().iter();
    servers.map(|server| server["health"]["online"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn a_death_and_a_return_are_noticed_between_polls() {
    let settings = [("HEARTBEAT_INTERVAL", "1"), ("POLL_INTERVAL", "3600")];
    let deployment = start_deployment_with(2, &settings).await;
    let server = deployment.pool.server(1);
    server.set_fault(FaultMode::Refuse);
    let died = async || list_online(&deployment).await == [false, true];
    wait_until("offline", died).await.unwrap();
    server.clear_fault();
    let returned = async || list_online(&deployment).await == [true, true];
    wait_until("online again", returned).await.unwrap();
}
