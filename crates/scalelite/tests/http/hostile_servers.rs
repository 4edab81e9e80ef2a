//! Hostile or broken members of the pool: what they report changes nothing of other servers.

use bbb_sim::{Claims, Fault, FaultMode};
use serde_json::Value;
use testkit::deployment::TestDeployment;

use crate::tools::{assert_success, create, start_deployment_with};

const USERS: u32 = 30;
const MEETINGS: usize = 6;

async fn run(deployment: &TestDeployment, arguments: &[&str]) -> String {
    let output = deployment.product.setup().run_command(arguments).await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn ids() -> impl Iterator<Item = String> {
    (0..MEETINGS).map(|n| format!("m{n}"))
}

/// Meetings with users on the second server. The first one has got the create of each of them as well,
/// and has not answered it: so there is proof that they may be ours there.
async fn start_with_unanswered_creates() -> TestDeployment {
    let deployment =
        start_deployment_with(2, &[("MEETING_GRACE", "0"), ("RESPONSE_TIMEOUT", "1")]).await;
    let hostile = deployment.pool.server(1);
    let servers: Value =
        serde_json::from_str(&run(&deployment, &["servers", "--json"]).await).unwrap();
    // All creates go to the hostile server first.
    let other = servers[1]["id"].as_str().unwrap();
    run(&deployment, &["servers", "load-multiplier", other, "1000"]).await;
    hostile.set_fault(Fault::for_calls(FaultMode::ErrorPageAfterEffect(502), &["create"]));
    let creates = ids().map(|id| {
        let product = &deployment.product;
        async move { create(product, &id).await }
    });
    futures_util::future::join_all(creates).await;
    assert!(!hostile.meetings().is_empty(), "it got no create");
    hostile.clear_fault();
    for id in ids() {
        assert!(deployment.pool.server(2).set_users(&id, USERS, 1), "{id} is not there");
        hostile.set_users(&id, 2 * USERS, 1);
    }
    deployment.product.poll_servers().await.unwrap();
    deployment
}

async fn assert_untouched(deployment: &TestDeployment) {
    let (hostile, server) = (deployment.pool.server(1), deployment.pool.server(2));
    let hostile_url = hostile.url();
    for id in ids() {
        let meetings = server.meetings();
        let meeting = meetings.iter().find(|meeting| meeting.id == id);
        assert_eq!(meeting.map(|meeting| meeting.users), Some(USERS), "{id}");
        let query = format!("meetingID={id}&fullName=A&role=VIEWER");
        let join = deployment.product.call("join", &query).await.unwrap();
        let location = join.header("location").unwrap().to_owned();
        assert!(!location.starts_with(&hostile_url), "{location}");
        let info = deployment.product.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_success(&info.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_claims_meetings_of_others_gets_none() {
    let deployment = start_with_unanswered_creates().await;
    let (hostile, server) = (deployment.pool.server(1), deployment.pool.server(2));
    for with_identity in [false, true] {
        for users in [1, USERS, 5_000] {
            hostile.claim_meetings_of(server, Claims { users, with_identity });
            for _ in 0..3 {
                deployment.product.poll_servers().await.unwrap();
            }
            assert_untouched(&deployment).await;
        }
        hostile.drop_meetings(None);
    }
    // The meetings stay where they are while their server is drained.
    let servers: Value =
        serde_json::from_str(&run(&deployment, &["servers", "--json"]).await).unwrap();
    run(&deployment, &["servers", "cordon", servers[1]["id"].as_str().unwrap()]).await;
    hostile.claim_meetings_of(server, Claims { users: 99, with_identity: true });
    deployment.product.poll_servers().await.unwrap();
    assert_untouched(&deployment).await;
}

#[tokio::test]
async fn a_server_with_too_many_unknown_meetings_is_suspect() {
    let settings = [
        ("MAX_ADOPTIONS_PER_HOUR", "3"),
        ("USE_EXTERNAL_VOICE_BRIDGE", "true"),
        ("POLL_INTERVAL", "1"),
    ];
    let deployment = start_deployment_with(2, &settings).await;
    deployment.pool.server(1).invent_meetings("invented-", 40, |id| format!("7{}", id.len()));
    let is_suspect = async || {
        let servers = run(&deployment, &["servers", "--json"]).await;
        let servers: Value = serde_json::from_str(&servers).unwrap();
        let reason = &servers[0]["health"]["last_failure"]["reason"];
        reason.as_str().is_some_and(|reason| reason.contains("MAX_ADOPTIONS_PER_HOUR"))
    };
    testkit::product::wait_until("suspect", is_suspect).await.unwrap();
    let meetings = run(&deployment, &["meetings", "list"]).await;
    assert!(meetings.matches("invented-").count() <= 3 * 2, "{meetings}");
    let log = deployment.product.log();
    assert!(log.contains("too many unknown meetings, not adopted"), "{log}");
}

#[tokio::test]
async fn a_list_beyond_its_bounds_fails_the_poll() {
    let deployment = start_deployment_with(2, &[("MAX_LISTED_MEETINGS", "30")]).await;
    create(&deployment.product, "ours").await;
    for server in deployment.pool.servers() {
        server.invent_meetings("invented-", 29, |_| "1".to_owned());
    }
    deployment.product.poll_servers().await.unwrap();
    let reasons = async || {
        let servers = run(&deployment, &["servers", "--json"]).await;
        servers.matches("more than 30 meetings are listed").count()
    };
    assert_eq!(reasons().await, 0, "30 are allowed");
    deployment.pool.server(1).invent_meetings("more-", 40, |_| "1".to_owned());
    deployment.product.poll_servers().await.unwrap();
    assert_eq!(reasons().await, 1);
}
