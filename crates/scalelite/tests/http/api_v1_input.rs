//! The management API, version 1: bad input. Each gets a clear answer, and nothing changes.

use serde_json::{Value, json};
use testkit::product::ClientConnection;

use crate::api_client::{API, ApiClient, check, make_token};
use crate::tools::{send, start_deployment};

#[tokio::test]
async fn only_valid_tokens_with_the_scope_are_served() {
    let deployment = start_deployment(1).await;
    let product = &deployment.product;
    let token = make_token(&deployment, "reader --scope servers:read").await;
    let expired = make_token(&deployment, "short --scope admin --expires 1ms").await;
    let whoami = format!("{API}/whoami");
    let revoked = make_token(&deployment, "revoked --scope admin").await;
    let revoke = ["tokens", "revoke", "revoked"];
    assert_eq!(testkit::process::run(product.setup(), &revoke).await.unwrap().exit_code, 0);
    let flipped = format!("{}{}", &token[..67], if token.ends_with('0') { '1' } else { '0' });
    for authorization in [
        format!("Bearer {flipped}"),
        format!("Bearer {expired}"),
        format!("Bearer {revoked}"),
        format!("Bearer {}", token.to_uppercase()),
        "Bearer scl_".to_owned(),
        format!("Basic {token}"),
        token.clone(),
        String::new(),
    ] {
        let headers = [("Authorization", authorization.as_str())];
        let response = send(product, "GET", &whoami, &headers, None).await;
        let problem = check(&authorization, &response, 401);
        assert!(response.header("www-authenticate").unwrap().starts_with("Bearer "));
        assert!(!problem.to_string().contains(&token[4..]));
    }
    let response = product.get(&format!("{whoami}?token={token}")).await.unwrap();
    check("in the query", &response, 401);
    let api = ApiClient::new(product, &token);
    api.get("/servers").await;
    for (request, scope) in [
        ("POST /servers", "servers:write"),
        ("POST /polls", "servers:write"),
        ("GET /meetings", "meetings:read"),
        ("GET /audit", "audit:read"),
        ("GET /config", "admin"),
        ("GET /tokens", "admin"),
    ] {
        let problem = api.expect(403, request, None).await;
        assert_eq!(problem["scope"], scope, "{request}");
        assert!(problem["detail"].as_str().unwrap().contains(scope));
    }
    // A front-end's checksum is no token.
    let signed = deployment.product.call_management("getServers", None).await.unwrap();
    assert!(signed.is_array());
}

#[tokio::test]
async fn faults_are_named_by_their_place() {
    let deployment = start_deployment(0).await;
    let token = make_token(&deployment, "admin --scope admin").await;
    let api = ApiClient::new(&deployment.product, &token);
    let url = "http://127.0.0.1:9/bigbluebutton/api";
    for (body, pointers) in [
        (json!({ "url": 1, "secret": "geheim" }), vec!["/url"]),
        (json!({ "url": url }), vec!["/secret"]),
        (json!({ "url": url, "secret": "geheim", "Tag": "x", "a/b": 1 }), vec!["/Tag", "/a~1b"]),
        (json!({ "url": url, "secret": "geheim", "max_users": -1 }), vec!["/max_users"]),
        (json!({ "url": url, "secret": "geheim", "max_users": 1.5 }), vec!["/max_users"]),
        (json!({ "url": url, "secret": "geheim", "load_multiplier": 0 }), vec!["/load_multiplier"]),
        (json!({ "url": url, "secret": "geheim", "force": "yes" }), vec!["/force"]),
        (json!({ "url": "ftp://x", "secret": "geheim heim" }), vec!["/secret", "/url"]),
        (json!({ "url": url, "secret": "geheim", "tag": "x".repeat(256) }), vec!["/tag"]),
        (json!([]), vec![""]),
        (json!("geheim"), vec![""]),
        (Value::Null, vec![""]),
    ] {
        let problem = api.expect(422, "POST /servers", Some(body.clone())).await;
        let errors = problem["errors"].as_array().unwrap();
        let mut found: Vec<&str> =
            errors.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, pointers, "{body}: {problem}");
        assert!(!problem.to_string().contains("geheim"), "{problem}");
    }
    for (path, pointer) in [
        ("/servers?limit=0", "/limit"),
        ("/servers?limit=501", "/limit"),
        ("/servers?limit=many", "/limit"),
        ("/servers?limit=1&limit=2", "/limit"),
        ("/servers?state=broken", "/state"),
        ("/servers?Limit=1", "/Limit"),
        ("/servers?cursor=xyz", "/cursor"),
        ("/audit?cursor=00", "/cursor"),
        ("/audit?since=yesterday", "/since"),
        ("/audit?since=2026-13-45T99:99:99Z", "/since"),
        ("/recordings?cursor=6162", "/cursor"),
    ] {
        let problem = api.expect(400, &format!("GET {path}"), None).await;
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{path}: {problem}");
        assert_eq!(problem["errors"][0]["in"], "query");
    }
    // A page beyond the end is empty.
    assert_eq!(api.get("/servers?cursor=7a7a").await, json!({ "items": [] }));
    assert_eq!(api.get("/servers").await, json!({ "items": [] }), "nothing was added");
}

#[tokio::test]
async fn bodies_are_limited_and_read_after_the_token() {
    let deployment = start_deployment(0).await;
    let product = &deployment.product;
    let token = make_token(&deployment, "admin --scope admin").await;
    let bearer = format!("Bearer {token}");
    let target = format!("{API}/servers");
    let post = async |kind: &str, body: &[u8]| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
        send(product, "POST", &target, &headers, Some(body)).await
    };
    let json = "application/json";
    let long = format!("{{\"url\": \"{}\"}}", "x".repeat(64 << 10));
    check("long", &post(json, long.as_bytes()).await, 413);
    let nested = "[".repeat(30_000);
    for body in [
        b"{".as_slice(),
        b"{\"url\": }",
        b"\xff\xfe",
        b"{} {}",
        nested.as_bytes(),
        b"{\"url\":\"\\ud800\"}",
    ] {
        let problem = check("broken", &post(json, body).await, 400);
        assert_eq!(problem["errors"][0]["in"], "body");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"] {
        check(kind, &post(kind, b"{}").await, 415);
    }
    // Without a token the answer comes before the body.
    let mut connection = ClientConnection::open(product.port()).await.unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: balancer.test\r\nContent-Type: {json}\r\nContent-Length: 60000\r\n\r\n"
    );
    connection.send(head.as_bytes()).await.unwrap();
    assert_eq!(connection.read_response("POST").await.unwrap().status, 401);
}

#[tokio::test]
async fn what_does_not_exist_is_told_apart_from_what_is_not_allowed() {
    let deployment = start_deployment(0).await;
    let token = make_token(&deployment, "admin --scope admin").await;
    let api = ApiClient::new(&deployment.product, &token);
    for path in ["/", "/nothing", "/servers/a/b/c", "/v2", "/Servers", "/tokens/a/b"] {
        api.expect(404, &format!("GET {path}"), None).await;
    }
    for (request, allowed) in [
        ("PUT /servers", "GET, POST, HEAD"),
        ("POST /servers/x", "GET, PATCH, DELETE, HEAD"),
        ("GET /polls", "POST"),
        ("OPTIONS /whoami", "GET, HEAD"),
        ("DELETE /openapi.json", "GET, HEAD"),
    ] {
        let response = api.send(request, &[], None).await;
        check(request, &response, 405);
        assert_eq!(response.header("allow"), Some(allowed), "{request}");
    }
    for path in ["/servers/x", "/meetings/x", "/tenants/x", "/recordings/x", "/tenants/x/settings"]
    {
        api.expect(404, &format!("GET {path}"), None).await;
    }
    for request in [
        "POST /servers/x/enable",
        "POST /imports/x/retry",
        "POST /callbacks/x/retry",
        "DELETE /tokens/x",
        "POST /recordings/x/undelete",
    ] {
        api.expect(404, request, None).await;
    }
    let long = [("If-Match", &*"x".repeat(1_001))];
    let problem = check("long", &api.send("POST /servers/x/enable", &long, None).await, 400);
    assert_eq!(problem["errors"][0]["pointer"], "/If-Match");
    let head = api.send("HEAD /whoami", &[], None).await;
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    let tenant = json!({ "name": "acme", "secrets": ["s"] });
    let problem = api.expect(409, "POST /tenants", Some(tenant)).await;
    assert_eq!(problem["type"], "urn:scalelite:problem:no-tenants");
    let scopes = json!({ "name": "x", "scopes": ["admin"], "tenant": "acme" });
    let problem = api.expect(422, "POST /tokens", Some(scopes)).await;
    assert_eq!(problem["errors"][0]["pointer"], "/scopes");
    // Markup is text.
    let name = "<script>alert(1)</script>";
    let body = json!({ "url": "http://127.0.0.1:9/bigbluebutton/api", "secret": "s", "tag": name, "force": true });
    let added = api.send("POST /servers", &[], Some(&body)).await;
    assert_eq!(check("POST", &added, 201)["tag"], name);
    assert_eq!(added.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(added.header("cache-control"), Some("no-store"));
}
