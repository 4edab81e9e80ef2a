//! The audit of what nobody has asked for, and of what clients of the original's management API change.

use serde_json::{Value, json};
use testkit::product::wait_until;

use crate::api_client::{ApiClient, make_token};
use crate::tools::start_deployment;

/// The changes of the newest page that begin so, oldest first.
async fn list(api: &ApiClient<'_>, query: &str) -> Vec<Value> {
    let page = api.get(&format!("/audit?{query}")).await;
    let mut items = page["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

#[tokio::test]
async fn a_dying_server_and_calls_of_the_original_api_are_recorded() {
    let deployment = start_deployment(1).await;
    let token = make_token(&deployment, "watch --scope read,servers:write").await;
    let api = ApiClient::new(&deployment.product, &token);
    let added = list(&api, "action=server.add").await;
    assert_eq!(added[0]["actor"], "api 127.0.0.1");
    assert_eq!(added[0]["after"]["secret"], "***");
    deployment.pool.servers()[0].crash();
    for _ in 0..3 {
        api.expect(200, "POST /polls", Some(json!({}))).await;
    }
    let query = "action=server.offline&server=127.0.0.1&actor=automatic";
    wait_until("the failure is recorded", async || !list(&api, query).await.is_empty())
        .await
        .unwrap();
    let offline = list(&api, query).await;
    assert_eq!(offline[0]["actor"], "automatic: poll");
    assert!(offline[0]["after"]["reason"].is_string(), "{offline:?}");
    assert_eq!(list(&api, "since=2999-01-01T00:00:00Z").await, [] as [Value; 0]);
    assert_eq!(list(&api, "until=2000-01-01T00:00:00Z").await, [] as [Value; 0]);
}
