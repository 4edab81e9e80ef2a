//! What tools of other people rely on: the types, codes and columns that they read. A monitoring check reads the table of `rake status`, an
//! Ansible module the management API with host names as ids, an exporter of metrics the lists, and the front-ends' own classes elements that
//! must be there even if they are empty.

use bbb_sim::Preload;
use serde_json::{Value, json};
use testkit::process;
use testkit::product::{API_PATH, new_request};

use crate::tools::{
    assert_failed, assert_success, create, send, start_deployment, start_deployment_with,
};

/// The check runs `rake status` in a container and splits the lines at blanks: a head line, then one line for each server with name, state
/// and status in front, and without any other line.
#[tokio::test]
async fn a_monitoring_check_reads_the_table_of_the_task() {
    let deployment = start_deployment(2).await;
    let product = &deployment.product;
    let output = process::run(product.setup(), &["rake", "status"]).await.unwrap();
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, ""));
    let mut lines = output.stdout.lines().filter(|line| !line.trim().is_empty());
    let head: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(head[..5], ["HOSTNAME", "STATE", "STATUS", "MEETINGS", "USERS"]);
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row[..3], ["127.0.0.1", "enabled", "online"]);
        assert!(row[3..7].iter().all(|number| number.parse::<u32>().is_ok()), "{row:?}");
        assert!(row[7].parse::<f64>().is_ok() && row[7].contains('.'), "{row:?}");
    }
}

/// The module takes the host of the URL for the id, reads every field as text, and tells 201, 200 and 404 apart.
#[tokio::test]
async fn a_playbook_adds_changes_and_removes_servers_by_host_name() {
    let deployment = start_deployment_with(0, &[("SERVER_ID_IS_HOSTNAME", "true")]).await;
    let product = &deployment.product;
    let call = async |name: &str, data: Option<Value>| {
        let checksum = crate::tools::digest(bbb_sim::Algorithm::Sha1, name, "");
        let mut request = new_request("GET", &format!("/scalelite/api/{name}?checksum={checksum}"));
        if let Some(data) = data {
            "POST".clone_into(&mut request.method);
            request.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
            request.body = Some(data.to_string().into_bytes());
        }
        let response = product.send(&request).await.unwrap();
        let header = response.header("content-type").unwrap().to_owned();
        assert!(header.starts_with("application/json"), "{name}: {header}");
        let value: Value = serde_json::from_str(&response.text()).unwrap();
        (response.status, value)
    };
    let none = (404, json!({ "error": "No servers are configured" }));
    assert_eq!(call("getServers", None).await, none);
    let url = "https://bbb1.example.test/bigbluebutton/api";
    let server = json!({ "server": { "url": url, "secret": "s", "load_multiplier": 1 } });
    let (status, added) = call("addServer", Some(server)).await;
    assert_eq!((status, added["id"].as_str()), (201, Some("bbb1.example.test")));
    let (status, list) = call("getServers", None).await;
    assert_eq!((status, list.as_array().unwrap().len()), (200, 1));
    let fields =
        ["id", "url", "secret", "tag", "bbb_version", "state", "load_multiplier", "online"];
    for field in fields {
        assert!(list[0][field].is_string(), "{field}: {}", list[0]);
    }
    assert_eq!((&list[0]["state"], &list[0]["online"]), (&json!("disabled"), &json!("offline")));
    assert_eq!(list[0]["load"], "unavailable");
    for (state, shown) in [("cordon", "cordoned"), ("disable", "disabled"), ("enable", "enabled")] {
        let change = json!({ "id": "bbb1.example.test", "server": { "state": state } });
        let (status, changed) = call("updateServer", Some(change)).await;
        assert_eq!((status, changed["state"].as_str()), (200, Some(shown)));
    }
    let id = json!({ "id": "bbb1.example.test" });
    let (status, deleted) = call("deleteServer", Some(id.clone())).await;
    assert!(status == 200 && deleted["success"].is_string(), "{deleted}");
    let (status, refused) = call("deleteServer", Some(id)).await;
    assert!(status == 404 && refused["error"].is_string(), "{refused}");
}

/// The exporter signs by SHA-1, sums the numbers of all meetings, and reads lists that may be empty.
#[tokio::test]
async fn an_exporter_of_metrics_reads_numbers_of_meetings() {
    let deployment = start_deployment(2).await;
    let product = &deployment.product;
    let list = async |call: &str, query: &str| {
        let checksum = crate::tools::digest(bbb_sim::Algorithm::Sha1, call, query);
        let separator = if query.is_empty() { "" } else { "&" };
        let target = format!("{API_PATH}/{call}?{query}{separator}checksum={checksum}");
        let response = product.get(&target).await.unwrap();
        assert_success(&response);
        response.text()
    };
    let empty = list("getMeetings", "").await;
    assert!(empty.contains("<meetings/>") || empty.contains("<meetings></meetings>"), "{empty}");
    for (number, server) in deployment.pool.servers().iter().enumerate() {
        let ids = vec![format!("room-{number}")];
        let meta = [("bbb-origin".to_owned(), "Moodle".to_owned())].into_iter().collect();
        server.preload(Preload { ids, users: 3, videos: 2, meta, ..Preload::default() });
    }
    let listed = list("getMeetings", "").await;
    assert_eq!(listed.matches("<meeting>").count(), 2, "{listed}");
    let fields = [
        "participantCount",
        "listenerCount",
        "voiceParticipantCount",
        "videoCount",
        "moderatorCount",
    ];
    for field in fields {
        let pieces: Vec<&str> = listed.split(&format!("<{field}>")).skip(1).collect();
        assert_eq!(pieces.len(), 2, "{field}");
        for piece in pieces {
            let number = piece.split('<').next().unwrap();
            assert!(number.parse::<u32>().is_ok(), "{field}: {number}");
        }
    }
    assert_eq!(listed.matches("<bbb-origin>Moodle</bbb-origin>").count(), 2);
    for state in ["published", "unpublished", "deleted", "processing", "processed", "any"] {
        let recordings = list("getRecordings", &format!("state={state}")).await;
        assert!(recordings.contains("<recordings"), "{recordings}");
        assert!(recordings.contains("noRecordings"), "{recordings}");
    }
}

/// Greenlight reads the internal id and the time of creation of a create, keeps to 302 for joins, and asks a random meeting to check the
/// secret.
#[tokio::test]
async fn greenlight_creates_joins_and_checks_its_secret() {
    let deployment = start_deployment(1).await;
    let product = &deployment.product;
    create(product, "gl-room").await;
    let again = product.call("create", "meetingID=gl-room&name=gl-room").await.unwrap();
    assert_success(&again);
    assert_eq!(again.xml_field("messageKey"), "duplicateWarning");
    assert!(again.xml_field("createTime").parse::<u64>().is_ok());
    assert!(!again.xml_field("internalMeetingID").is_empty());
    let join = product.call("join", "meetingID=gl-room&fullName=A&role=Moderator").await.unwrap();
    assert_eq!(join.status, 302);
    let info = product.call("getMeetingInfo", "meetingID=gl-room").await.unwrap();
    assert_success(&info);
    assert!(["true", "false"].contains(&info.xml_field("running").as_str()));
    let running = product.call("isMeetingRunning", "meetingID=other").await.unwrap();
    assert_eq!(running.xml_field("running"), "false");
    let wrong = product.get(&format!("{API_PATH}/isMeetingRunning?meetingID=0&checksum=0")).await;
    assert_failed(&wrong.unwrap(), "checksumError");
}

/// Moodle asks for the version with and without a slash and with an empty query, sends a slide as XML with a language, and needs the
/// container elements of empty lists.
#[tokio::test]
async fn moodle_asks_for_the_version_and_sends_slides() {
    let deployment = start_deployment(1).await;
    let product = &deployment.product;
    let checksum = crate::tools::digest(bbb_sim::Algorithm::Sha1, "", "");
    for target in [API_PATH.to_owned(), format!("{API_PATH}/?&checksum={checksum}")] {
        let response = product.get(&target).await.unwrap();
        assert_success(&response);
        assert!(response.xml_field("version").parse::<f64>().is_ok());
    }
    let xml = "<?xml version='1.0'?><modules><module name='presentation'>\
               <document url='https://lms.example.test/a.pdf'/></module></modules>";
    let query =
        "meetingID=course-1&name=Course&meta_bbb-origin=Moodle&meta_bbb-meeting-size-hint=30";
    let target = testkit::product::signed_target("create", query);
    let headers = [("Content-Type", "application/xml"), ("Content-Language", "en-US")];
    let created = send(product, "POST", &target, &headers, Some(xml.as_bytes())).await;
    assert_success(&created);
    assert_eq!(created.xml_field("meetingID"), "course-1");
    for call in ["getRecordings", "getMeetings"] {
        let query = if call == "getRecordings" { "recordID=a%2Cb&state=any" } else { "" };
        let list = product.call(call, query).await.unwrap().text();
        let container = if call == "getRecordings" { "<recordings" } else { "<meetings" };
        assert!(list.contains(container), "{list}");
    }
    for id in ["a", "a%2Cb"] {
        let deleted = product.call("deleteRecordings", &format!("recordID={id}")).await.unwrap();
        assert_failed(&deleted, "notFound");
    }
}
