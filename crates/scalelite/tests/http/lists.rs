//! `getMeetings`: the meetings of all servers that answer, byte for byte as the servers describe
//! them, within the ten seconds after which clients give up.

use std::time::Duration;

use bbb_sim::{BbbServer, FaultMode, Preload};
use testkit::deployment::TestDeployment;
use testkit::product::{exchange, new_request};
use tokio::time::Instant;

use crate::tools::{assert_success, start_deployment, start_deployment_with};

fn preload(server: &BbbServer, ids: &[&str], meta: &[(&str, &str)]) {
    let meta = meta.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    server.preload(Preload {
        ids: ids.iter().map(|&id| id.to_owned()).collect(),
        users: 2,
        meta: meta.collect(),
        ..Preload::default()
    });
}

async fn get_meetings(deployment: &TestDeployment) -> String {
    let response = deployment.product.call("getMeetings", "").await.unwrap();
    assert_success(&response);
    response.text()
}

/// Returns the `<meeting>` elements of a server's own list.
async fn own_elements(server: &BbbServer) -> Vec<String> {
    let sum = bbb_sim::Algorithm::Sha1.hex_digest(&format!("getMeetings{}", server.secret()));
    let target = format!("/bigbluebutton/api/getMeetings?checksum={sum}");
    let response = exchange(server.port(), &new_request("GET", &target)).await;
    meeting_elements(&response.unwrap().text())
}

fn meeting_elements(list: &str) -> Vec<String> {
    let pieces = list.split("<meeting>").skip(1);
    let element = |piece: &str| piece.split_once("</meeting>").unwrap().0.to_owned();
    pieces.map(element).collect()
}

#[tokio::test]
async fn meetings_of_all_servers_are_listed_byte_for_byte() {
    let deployment = start_deployment(3).await;
    let text = [("odd", "a ]]> & <b> \u{1F600} \"'"), ("empty", "")];
    preload(deployment.pool.server(1), &["a-1", "a-2"], &text);
    preload(deployment.pool.server(3), &["c-1"], &[]);
    let mut expected = own_elements(deployment.pool.server(1)).await;
    expected.extend(own_elements(deployment.pool.server(3)).await);
    let mut listed = meeting_elements(&get_meetings(&deployment).await);
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn an_empty_list_has_container_and_key() {
    for servers in [0, 2] {
        let text = get_meetings(&start_deployment(servers).await).await;
        assert!(text.contains("<meetings></meetings>") || text.contains("<meetings/>"));
        assert!(text.contains("<messageKey>noMeetings</messageKey>"));
        assert!(text.contains("<message>no meetings were found on this server</message>"));
    }
}

#[tokio::test]
async fn a_hanging_server_does_not_delay_the_list() {
    let deployment = start_deployment(3).await;
    for (n, server) in deployment.pool.servers().iter().enumerate() {
        preload(server, &[format!("m-{n}").as_str()], &[]);
    }
    deployment.pool.server(2).set_fault(FaultMode::Hang);
    let started = Instant::now();
    let text = get_meetings(&deployment).await;
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(meeting_elements(&text).len(), 2);
    assert!(text.contains("m-0") && text.contains("m-2") && !text.contains("m-1"));
    assert!(text.ends_with("</meetings></response>"));
}

#[tokio::test]
async fn servers_that_fail_are_left_out() {
    let settings = [("RESPONSE_TIMEOUT", "0.3"), ("CONNECT_TIMEOUT", "0.3")];
    let deployment = start_deployment_with(9, &settings).await;
    for server in deployment.pool.servers() {
        preload(server, &[format!("m-{}", server.number()).as_str()], &[]);
    }
    let faults = [
        FaultMode::Refuse,
        FaultMode::Reset,
        FaultMode::Hang,
        FaultMode::Error500,
        FaultMode::InvalidXml,
        FaultMode::Html,
        FaultMode::Empty,
        FaultMode::NoReturncode,
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        deployment.pool.server(n + 1).set_fault(fault);
    }
    let text = get_meetings(&deployment).await;
    assert_eq!(meeting_elements(&text).len(), 1);
    assert!(text.contains("<meetingID>m-9</meetingID>"));
}

#[tokio::test]
async fn a_control_character_in_one_meeting_does_not_break_the_list() {
    let deployment = start_deployment(2).await;
    let bad = [("bad", "x\u{1}y ]]> z\u{b}"), ("fine", "tab\there")];
    preload(deployment.pool.server(1), &["bad"], &bad);
    preload(deployment.pool.server(2), &["good"], &[]);
    let text = get_meetings(&deployment).await;
    assert_eq!(meeting_elements(&text).len(), 2);
    assert!(text.contains("<bad>xy ]]&gt; z</bad>"), "{text}");
    assert!(text.contains("<fine>tab\there</fine>"));
    assert!(!text.chars().any(|c| c < ' ' && !"\t\r\n".contains(c)));
}

#[tokio::test]
async fn meetings_of_tenants_are_left_out() {
    let deployment = start_deployment(1).await;
    let server = &deployment.pool.servers()[0];
    preload(server, &["theirs"], &[("tenant-id", "t1")]);
    preload(server, &["ours"], &[]);
    let text = get_meetings(&deployment).await;
    assert_eq!(meeting_elements(&text).len(), 1);
    assert!(text.contains("<meetingID>ours</meetingID>"));
}

#[tokio::test]
async fn a_disabled_list_is_empty_and_needs_no_checksum() {
    let deployment = start_deployment_with(1, &[("GET_MEETINGS_API_DISABLED", "true")]).await;
    preload(&deployment.pool.servers()[0], &["hidden"], &[]);
    let target = "/bigbluebutton/api/getMeetings";
    let response = deployment.product.get(target).await.unwrap();
    assert_success(&response);
    assert_eq!(response.xml_field("messageKey"), "noMeetings");
}
