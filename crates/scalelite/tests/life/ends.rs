//! Tests of kills around the end of meetings: front-ends are told all the same, and once.

use testkit::deployment::TestDeployment;
use testkit::end_receiver::{EndReceiver, TELLS_ENDS, carry_reports};
use testkit::product::wait_until;

use crate::tools::{assert_success, create_query, start_deployment};

const MEETINGS: usize = 20;

async fn start() -> (TestDeployment, EndReceiver) {
    let settings = [&TELLS_ENDS[..], &[("POLL_INTERVAL", "1"), ("MEETING_GRACE", "0")]].concat();
    (start_deployment(2, &settings).await, EndReceiver::start().await.unwrap())
}

async fn create(deployment: &TestDeployment, receiver: &EndReceiver, id: &str) {
    let address = receiver.parameter("meetingEndedURL", id);
    let query = format!("{}&{address}", create_query(id));
    assert_success(&deployment.product.call("create", &query).await.unwrap());
}

fn end_meeting(deployment: &TestDeployment, id: &str) {
    assert!(deployment.servers_with(id)[0].end_meeting(id));
}

#[tokio::test]
async fn ends_while_the_balancer_is_dead_are_told_once() {
    let (mut deployment, receiver) = start().await;
    let ids: Vec<String> = (10..10 + MEETINGS).map(|number| format!("m{number}")).collect();
    for id in &ids {
        create(&deployment, &receiver, id).await;
    }
    create(&deployment, &receiver, "later").await;
    deployment.product.kill().await.unwrap();
    ids.iter().for_each(|id| end_meeting(&deployment, id));
    deployment.product.restart().await.unwrap();
    wait_until("told", async || receiver.calls().len() >= MEETINGS).await.unwrap();
    end_meeting(&deployment, "later");
    wait_until("told", async || receiver.calls().iter().any(|call| call == "GET /later"))
        .await
        .unwrap();
    let told = ["later".to_owned()].into_iter().chain(ids);
    assert_eq!(receiver.calls(), told.map(|id| format!("GET /{id}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_survives_a_kill() {
    let (mut deployment, receiver) = start().await;
    create(&deployment, &receiver, "mm").await;
    let port = receiver.port();
    drop(receiver);
    let server = deployment.servers_with("mm")[0].clone();
    end_meeting(&deployment, "mm");
    carry_reports(&server, &deployment.product).await.unwrap();
    let is_kept = async || {
        let list = ["callbacks", "list", "--json"];
        let output = deployment.product.setup().run_command(&list).await.unwrap();
        String::from_utf8(output.stdout).unwrap().contains(r#""attempts":1"#)
    };
    wait_until("kept", is_kept).await.unwrap();
    deployment.product.kill().await.unwrap();
    let receiver = EndReceiver::start_on(port).await.unwrap();
    deployment.product.restart().await.unwrap();
    carry_reports(&server, &deployment.product).await.unwrap();
    let id = "ended:";
    let list = deployment.product.setup().run_command(&["callbacks", "list"]).await.unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let start = list.find(id).unwrap();
    let id = list[start..].split_whitespace().next().unwrap();
    let retry = deployment.product.setup().run_command(&["callbacks", "retry", id]).await.unwrap();
    assert!(retry.status.success(), "{retry:?}");
    wait_until("told", async || !receiver.calls().is_empty()).await.unwrap();
    assert_eq!(receiver.calls(), ["GET /mm"]);
}
