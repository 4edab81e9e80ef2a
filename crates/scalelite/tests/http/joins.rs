//! `join`: the browser is redirected to the server of the meeting with a checksum of that server,
//! or gets the error.

use bbb_sim::Algorithm;
use testkit::process;
use testkit::product::{ClientResponse, signed_target};

use crate::tools::{assert_failed, create, parameter, send, start_deployment};

fn split_location(response: &ClientResponse) -> (String, String) {
    assert_eq!(response.status, 302, "{}", response.text());
    let location = response.header("location").unwrap();
    let (page, query) = location.split_once('?').unwrap();
    (page.to_owned(), query.to_owned())
}

#[tokio::test]
async fn a_join_of_greenlight_is_redirected_unchanged_and_signed_for_the_server() {
    let deployment = start_deployment(2).await;
    create(&deployment.product, "gl").await;
    let query = "meetingID=gl&password=&role=Moderator&fullName=J%C3%BCrgen+%26+Co&userID=u-1\
                 &avatarURL=https%3A%2F%2Ff%2Fa.png&userdata-bbb_x=1&userdata-bbb_x=2\
                 &userdata-na%C3%AFve=%e2%98%83&createTime=5";
    let response = deployment.product.call("join", query).await.unwrap();
    let (page, sent) = split_location(&response);
    let server = deployment.servers_with("gl")[0];
    assert_eq!(page, format!("{}/join", server.url()));
    let (passed, checksum) = sent.split_once("&checksum=").unwrap();
    assert_eq!(passed, query);
    let expected = Algorithm::Sha256.hex_digest(&format!("join{passed}{}", server.secret()));
    assert_eq!(checksum, expected);
    // A HEAD gets the same redirect.
    let head = send(&deployment.product, "HEAD", &signed_target("join", query), &[], None).await;
    assert_eq!(head.header("location"), response.header("location"));
}

/// Behind BBB's cluster proxy browsers reach all servers under the host of the proxy, each below a path of its own.
#[tokio::test]
async fn joins_may_go_to_another_url_than_the_calls_of_the_balancer() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let server = &deployment.pool.servers()[0];
    let proxy = server.open_alias().unwrap();
    let list = deployment.product.call_management("getServers", None).await.unwrap();
    let id = list[0]["id"].as_str().unwrap().to_owned();
    let run = async |arguments: &[&str]| {
        let output = process::run(deployment.product.setup(), arguments).await.unwrap();
        (output.exit_code, output.stdout, output.stderr)
    };
    let update = ["servers", "update", &id, "--join-url"];
    assert_eq!(run(&[&update[..], &["ftp://proxy"]].concat()).await.0, 1);
    assert_eq!(run(&[&update[..], &[&proxy]].concat()).await.0, 0);
    let query = "meetingID=m1&fullName=A&role=VIEWER&redirect=false";
    let (page, sent) = split_location(&deployment.product.call("join", query).await.unwrap());
    assert_eq!(page, format!("{proxy}/join"));
    // The server accepts the signature under that URL.
    let port: u16 = proxy.split([':', '/']).nth(4).unwrap().parse().unwrap();
    let request = testkit::product::new_request("GET", &format!("/bigbluebutton/api/join?{sent}"));
    let joined = testkit::product::exchange(port, &request).await.unwrap();
    assert_eq!(joined.xml_field("returncode"), "SUCCESS", "{}", joined.text());
    // The other calls go to the URL of the API.
    let info = deployment.product.call("getMeetingInfo", "meetingID=m1").await.unwrap();
    assert_eq!(info.xml_field("returncode"), "SUCCESS");
    let server_info = deployment.product.call_management("getServers", None).await.unwrap();
    assert_eq!(server_info[0]["join_url"], proxy.as_str());
    let yaml = run(&["servers", "yaml"]).await.1;
    assert!(yaml.contains(&format!("    join_url: {proxy}\n")), "{yaml}");
    let file = deployment.product.setup().folder().join("pool.yml");
    std::fs::write(&file, &yaml).unwrap();
    let file = file.display().to_string();
    assert_eq!(run(&["servers", "sync", &file]).await, (0, String::new(), String::new()));
    // A file that does not name it leaves it as it is; an empty one removes it.
    let without = yaml.replace(&format!("    join_url: {proxy}\n"), "");
    std::fs::write(&file, &without).unwrap();
    assert_eq!(run(&["servers", "sync", &file]).await.1, "");
    let change = serde_json::json!({ "id": id, "join_url": "" });
    let changed = deployment.product.call_management("updateServer", Some(change)).await.unwrap();
    assert_eq!(changed.get("join_url"), None);
    let (page, _) = split_location(&deployment.product.call("join", query).await.unwrap());
    assert_eq!(page, format!("{}/join", server.url()));
}

#[tokio::test]
async fn the_servers_own_errors_reach_the_browser() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let query = "meetingID=m1&fullName=A&role=VIEWER&createTime=1&redirect=false";
    let (_, sent) = split_location(&deployment.product.call("join", query).await.unwrap());
    let server = &deployment.pool.servers()[0];
    let target = format!("/bigbluebutton/api/join?{sent}");
    let request = testkit::product::new_request("GET", &target);
    let response = testkit::product::exchange(server.port(), &request).await;
    let response = response.unwrap();
    assert_eq!(response.xml_field("messageKey"), "mismatchCreateTimeParam");
}

#[tokio::test]
async fn an_unknown_meeting_is_reported_to_the_error_url() {
    let deployment = start_deployment(1).await;
    let join = async |more: &str| {
        let query = format!("meetingID=nobody&fullName=A&role=VIEWER{more}");
        deployment.product.call("join", &query).await.unwrap()
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
    for invalid in ["javascript:alert(1)", "%2Frelative", "https%3A%2F%2Ff%0D%0AX:y"] {
        let response = join(&format!("&errorRedirectUrl={invalid}")).await;
        assert_failed(&response, "notFound");
    }
    // A call that is not signed never redirects.
    let target = format!("/bigbluebutton/api/join?meetingID=x{url}&checksum=0");
    let response = deployment.product.get(&target).await.unwrap();
    assert_failed(&response, "checksumError");
}

#[tokio::test]
async fn a_join_by_post_is_refused() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let form = "application/x-www-form-urlencoded";
    let query = "meetingID=m1&fullName=A";
    let response = deployment.product.post("join", query, form, b"role=MODERATOR");
    assert_failed(&response.await.unwrap(), "unsupportedRequest");
}

#[tokio::test]
async fn joins_to_a_disabled_server_are_refused() {
    let deployment = start_deployment(1).await;
    create(&deployment.product, "m1").await;
    let server = &deployment.pool.servers()[0];
    server.set_fault(bbb_sim::FaultMode::Refuse);
    let servers = deployment.product.call_management("getServers", None).await.unwrap();
    let disable = serde_json::json!({ "id": servers[0]["id"], "server": { "state": "disable" } });
    deployment.product.call_management("updateServer", Some(disable)).await.unwrap();
    let query = "meetingID=m1&fullName=A&role=VIEWER";
    let response = deployment.product.call("join", query).await.unwrap();
    assert_failed(&response, "serverUnavailable");
}
