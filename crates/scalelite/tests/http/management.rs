//! The management API: parameters in a JSON body, a form or the query, for GET too, nested or flat; texts of refusals.

use bbb_sim::Algorithm;
use serde_json::{Value, json};
use testkit::product::{ClientResponse, Product, SECRET};

use crate::tools::{assert_failed, send, start_deployment, start_deployment_with};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Calls the management API with this query, signed, and this body.
async fn call(
    product: &Product,
    method: &str,
    name: &str,
    query: &str,
    body: Option<(&str, &str)>,
) -> ClientResponse {
    let checksum = Algorithm::Sha256.hex_digest(&format!("{name}{query}{SECRET}"));
    let separator = if query.is_empty() { "" } else { "&" };
    let target = format!("/scalelite/api/{name}?{query}{separator}checksum={checksum}");
    let headers = body.map(|(content_type, _)| ("Content-Type", content_type));
    let body = body.map(|(_, body)| body.as_bytes());
    send(product, method, &target, headers.as_slice(), body).await
}

fn parse(response: &ClientResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()))
}

#[tokio::test]
async fn parameters_stand_in_the_body_the_form_or_the_query() {
    let deployment = start_deployment(1).await;
    let product = &deployment.product;
    let servers = product.call_management("getServers", None).await.unwrap();
    let id = servers[0]["id"].as_str().unwrap();
    let flat = json!({ "id": id }).to_string();
    let nested = json!({ "server": { "id": id } }).to_string();
    let form = format!("id={id}");
    for (query, body) in [
        (form.as_str(), None),
        ("", Some((JSON, flat.as_str()))),
        ("", Some((JSON, nested.as_str()))),
        ("", Some((FORM, form.as_str()))),
        // The query takes precedence, and a body that is no parameters does not matter.
        (form.as_str(), Some((JSON, r#"{"id":"other"}"#))),
        (form.as_str(), Some(("text/plain", "hello"))),
    ] {
        let response = call(product, "GET", "getServerInfo", query, body).await;
        assert_eq!((response.status, parse(&response)["id"].as_str()), (200, Some(id)), "{body:?}");
    }
    for (tag, query, body) in [
        ("a", String::new(), Some((JSON, json!({ "id": id, "tag": "a" }).to_string()))),
        (
            "b",
            String::new(),
            Some((JSON, json!({ "id": id, "server": { "tag": "b" } }).to_string())),
        ),
        ("c", String::new(), Some((FORM, format!("id={id}&tag=c")))),
        ("d", String::new(), Some((FORM, format!("id={id}&server[tag]=d")))),
        ("e", format!("id={id}&tag=e"), None),
        ("f", format!("id={id}"), Some((JSON, r#"{"tag":"f"}"#.to_owned()))),
    ] {
        let body = body.as_ref().map(|(content_type, body)| (*content_type, body.as_str()));
        let response = call(product, "POST", "updateServer", &query, body).await;
        assert_eq!(
            (response.status, parse(&response)["tag"].as_str()),
            (200, Some(tag)),
            "{body:?}"
        );
    }
    let response = call(product, "POST", "updateServer", &form, Some((JSON, "{}"))).await;
    assert_eq!(response.status, 400, "{}", response.text());
    let panic = call(product, "POST", "panicServer", "", Some((FORM, &form))).await;
    assert_eq!(panic.status, 200, "{}", panic.text());
    let delete = call(product, "POST", "deleteServer", "", Some((JSON, &nested))).await;
    assert_eq!(delete.status, 200, "{}", delete.text());
    let text = call(product, "POST", "deleteServer", &form, Some(("text/plain", "x"))).await;
    assert_failed(&text, "unsupportedContentType");
}

#[tokio::test]
async fn a_checksum_may_stand_in_the_body() {
    let deployment = start_deployment(0).await;
    let checksum = Algorithm::Sha256.hex_digest(&format!("addServer{SECRET}"));
    let url = "https://b.example.test/bigbluebutton/api";
    let object = json!({ "url": url, "secret": "s", "checksum": checksum }).to_string();
    let form = format!(
        "server[url]=https://c.example.test/bigbluebutton/api&server[secret]=s&checksum={checksum}"
    );
    for (content_type, body) in [(JSON, &object), (FORM, &form)] {
        let header = [("Content-Type", content_type)];
        let wrong = body.replace(&checksum, "0");
        for (body, is_accepted) in [(body.as_str(), true), (&wrong, false), ("", false)] {
            let body = Some(body.as_bytes());
            let path = "/scalelite/api/addServer";
            let response = send(&deployment.product, "POST", path, &header, body).await;
            if is_accepted {
                assert_eq!(response.status, 201, "{}", response.text());
            } else {
                assert_failed(&response, "checksumError");
            }
        }
    }
}

#[tokio::test]
async fn texts_about_tenants_are_called_messages() {
    let deployment = start_deployment_with(0, &[("MULTITENANCY_ENABLED", "true")]).await;
    let unknown = call(&deployment.product, "GET", "getTenantInfo", "id=nope", None).await;
    let text = parse(&unknown);
    assert_eq!(unknown.status, 404);
    assert!(text["message"].is_string() && text["message"] == text["error"], "{text}");
    let body = Some((JSON, r#"{"name":"acme","secrets":"s1"}"#));
    let added = call(&deployment.product, "POST", "addTenant", "", body).await;
    assert_eq!((added.status, parse(&added)["tenant"]["name"].as_str()), (201, Some("acme")));
}
