//! `join`: the browser is sent to the right server with a signature of that server, or told why not.

use bbb_sim::Algorithm;
use testkit::product::{ClientResponse, signed_target};

use crate::tools::{assert_failed, create, parameter, send, start_deployment};

fn split_location(answer: &ClientResponse) -> (String, String) {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location").unwrap();
    let (page, query) = location.split_once('?').unwrap();
    (page.to_owned(), query.to_owned())
}

#[tokio::test]
async fn greenlights_join_arrives_whole_and_signed_for_the_server() {
    let world = start_deployment(2).await;
    create(&world.product, "gl").await;
    let query = "meetingID=gl&password=&role=Moderator&fullName=J%C3%BCrgen+%26+Co&userID=u-1\
                 &avatarURL=https%3A%2F%2Ff%2Fa.png&userdata-bbb_x=1&userdata-bbb_x=2\
                 &userdata-na%C3%AFve=%e2%98%83&createTime=5";
    let answer = world.product.call("join", query).await.unwrap();
    let (page, sent) = split_location(&answer);
    let server = world.servers_with("gl")[0];
    assert_eq!(page, format!("{}/join", server.url()));
    let (passed, checksum) = sent.split_once("&checksum=").unwrap();
    assert_eq!(passed, query);
    let right = Algorithm::Sha256.hex_digest(&format!("join{passed}{}", server.secret()));
    assert_eq!(checksum, right);
    // A HEAD is answered alike and counts for nothing worse.
    let head = send(&world.product, "HEAD", &signed_target("join", query), &[], None).await;
    assert_eq!(head.header("location"), answer.header("location"));
}

#[tokio::test]
async fn the_servers_own_errors_reach_the_browser() {
    let world = start_deployment(1).await;
    create(&world.product, "m1").await;
    let query = "meetingID=m1&fullName=A&role=VIEWER&createTime=1&redirect=false";
    let (_, sent) = split_location(&world.product.call("join", query).await.unwrap());
    let server = &world.pool.servers()[0];
    let target = format!("/bigbluebutton/api/join?{sent}");
    let request = testkit::product::new_request("GET", &target);
    let answer = testkit::product::exchange(server.port(), &request).await;
    let answer = answer.unwrap();
    assert_eq!(answer.xml_field("messageKey"), "mismatchCreateTimeParam");
}

#[tokio::test]
async fn an_unknown_meeting_is_reported_where_the_front_end_wants_it() {
    let world = start_deployment(1).await;
    let join = async |more: &str| {
        let query = format!("meetingID=nobody&fullName=A&role=VIEWER{more}");
        world.product.call("join", &query).await.unwrap()
    };
    assert_failed(&join("").await, "notFound");
    assert_failed(&join("&redirect=false").await, "notFound");
    let url = "&errorRedirectUrl=https%3A%2F%2Ffront.test%2Froom%3Fa%3Db";
    assert_failed(&join(&format!("{url}&redirect=false")).await, "notFound");
    let (page, query) = split_location(&join(url).await);
    assert_eq!(page, "https://front.test/room");
    assert_eq!(parameter(&query, "a").as_deref(), Some("b"));
    let errors = parameter(&query, "errors").unwrap();
    let errors: serde_json::Value = serde_json::from_str(&errors).unwrap();
    assert_eq!(errors[0]["key"], "notFound");
    assert!(errors[0]["message"].as_str().is_some_and(|m| m.len() > 10));
    for bad in ["javascript:alert(1)", "%2Frelative", "https%3A%2F%2Ff%0D%0AX:y"] {
        let answer = join(&format!("&errorRedirectUrl={bad}")).await;
        assert_failed(&answer, "notFound");
    }
    // Nobody is sent anywhere by a call that is not signed.
    let target = format!("/bigbluebutton/api/join?meetingID=x{url}&checksum=0");
    let answer = world.product.get(&target).await.unwrap();
    assert_failed(&answer, "checksumError");
}

#[tokio::test]
async fn a_join_by_post_is_refused() {
    let world = start_deployment(1).await;
    create(&world.product, "m1").await;
    let form = "application/x-www-form-urlencoded";
    let query = "meetingID=m1&fullName=A";
    let answer = world.product.post("join", query, form, b"role=MODERATOR");
    assert_failed(&answer.await.unwrap(), "unsupportedRequest");
}

#[tokio::test]
async fn joins_to_a_disabled_server_are_refused() {
    let world = start_deployment(1).await;
    create(&world.product, "m1").await;
    let server = &world.pool.servers()[0];
    server.set_fault(bbb_sim::FaultMode::Refuse);
    let servers = world.product.call_management("getServers", None).await.unwrap();
    let disable = serde_json::json!({ "id": servers[0]["id"], "server": { "state": "disable" } });
    world.product.call_management("updateServer", Some(disable)).await.unwrap();
    let query = "meetingID=m1&fullName=A&role=VIEWER";
    let answer = world.product.call("join", query).await.unwrap();
    assert_failed(&answer, "serverUnavailable");
}
