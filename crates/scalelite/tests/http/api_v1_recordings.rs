//! The management API, version 1: recordings, on rows and files that are there.

use serde_json::{Value, json};

use crate::api_client::{ApiClient, check, make_token_in};
use crate::recordings::{RecordingsDeployment, recording};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn recordings_are_listed_changed_and_deleted() {
    let all: Vec<_> = (0..7).map(|n| recording(&format!("r{n}"), n)).collect();
    let settings = [("RECORDING_TRASH_DAYS", "5")];
    let deployment = RecordingsDeployment::with(&settings, &all).await;
    let token = make_token_in(deployment.product.setup(), "media --scope recordings:write").await;
    let api = ApiClient::new(&deployment.product, &token);

    let (mut found, mut path) = (Vec::new(), "/recordings?limit=3".to_owned());
    loop {
        let page = api.get(&path).await;
        let items = page["items"].as_array().unwrap();
        found.extend(items.iter().map(|it| it["record_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/recordings?limit=3&cursor={next}");
    }
    assert_eq!(found, ["r6", "r5", "r4", "r3", "r2", "r1", "r0"], "the newest first");
    let of_meeting = api.get("/recordings?meeting_id=m-r2").await;
    assert_eq!(of_meeting["items"][0]["record_id"], "r2");
    assert_eq!(api.get("/recordings?state=deleted").await["items"], json!([]));

    let read = api.send("GET /recordings/r2", &[], None).await;
    let etag = read.header("etag").unwrap().to_owned();
    let change = json!({ "published": false, "protected": true, "metadata": { "course": "<b>", "gone": null } });
    let versioned = [("If-Match", etag.as_str())];
    let changed =
        check("PATCH", &api.send("PATCH /recordings/r2", &versioned, Some(&change)).await, 200);
    assert_eq!((&changed["published"], &changed["protected"]), (&json!(false), &json!(true)));
    assert_eq!(changed["metadata"]["course"], "<b>");
    let refused = api.send("DELETE /recordings/r2", &versioned, None).await;
    check("DELETE", &refused, 412);
    for (metadata, pointer) in [
        (json!({ "tenant-id": "x" }), "/metadata/tenant-id"),
        (json!({ "UPPER": "x" }), "/metadata"),
        (json!({ "a": 1 }), "/metadata/a"),
        (json!({ "a": "\0" }), "/metadata/a"),
    ] {
        let body = json!({ "metadata": metadata });
        let problem = api.expect(422, "PATCH /recordings/r2", Some(body)).await;
        let found = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(found.starts_with(pointer), "{problem}");
    }

    api.expect(204, "DELETE /recordings/r2", None).await;
    api.expect(204, "DELETE /recordings/r2", None).await;
    assert_eq!(api.get("/recordings/r2").await["state"], "deleted");
    api.expect(409, "PATCH /recordings/r2", Some(json!({ "protected": false }))).await;
    let restored = api.expect(200, "POST /recordings/r2/undelete", None).await;
    assert_eq!((&restored["state"], &restored["protected"]), (&json!("unpublished"), &json!(true)));
    let problem = api.expect(409, "POST /recordings/r2/undelete", None).await;
    assert_eq!(problem["type"], "urn:scalelite:problem:not-deleted");
    api.expect(204, "DELETE /recordings/r3?erase=true", None).await;
    let by_front_end = deployment.call("deleteRecordings", "recordID=r4").await;
    assert_eq!(by_front_end.xml_field("deleted"), "true");

    let output =
        testkit::process::run(deployment.product.setup(), &["audit", "--json"]).await.unwrap();
    let changes: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: Vec<(&str, &str)> = changes
        .iter()
        .map(|it| (it["action"].as_str().unwrap(), it["actor"].as_str().unwrap()))
        .skip(1)
        .collect();
    let token = "token media";
    assert_eq!(
        shown,
        [
            ("recording.update", token),
            ("recording.unpublish", token),
            ("recording.delete", token),
            ("recording.restore", token),
            ("recording.undelete", token),
            ("recording.erase", token),
            ("recording.delete", "front-end 127.0.0.1"),
        ]
    );
    assert_eq!(changes[1]["target"]["recording"], "r2");
}
