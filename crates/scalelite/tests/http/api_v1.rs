//! The management API, version 1: what each part does, from outside.

use serde_json::{Value, json};
use testkit::product::wait_until;

use crate::api_client::{API, ApiClient, check, make_token};
use crate::tenants::{MULTITENANCY, add_tenant, call_as_tenant};
use crate::tools::{assert_success, send, start_deployment, start_deployment_with};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn servers_are_managed() {
    let deployment = start_deployment(2).await;
    let token =
        make_token(&deployment, "deploy --scope servers:write,meetings:read,audit:read").await;
    let api = ApiClient::new(&deployment.product, &token);
    let listed = api.get("/servers").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed.get("next"), None);
    assert!(
        listed["items"][0]["online"].as_bool().unwrap() && !listed.to_string().contains("secret")
    );
    let first = api.get("/servers?limit=1").await;
    let cursor = first["next"].as_str().unwrap();
    let second = api.get(&format!("/servers?limit=1&cursor={cursor}")).await;
    assert_eq!(
        json!([first["items"][0]["id"], second["items"][0]["id"]]),
        json!([listed["items"][0]["id"], listed["items"][1]["id"]])
    );
    assert_eq!(second.get("next"), None);

    let simulated = &deployment.pool.servers()[0];
    let taken = json!({ "url": simulated.url(), "secret": simulated.secret() });
    let problem = api.expect(409, "POST /servers", Some(taken)).await;
    assert_eq!(problem["type"], "urn:scalelite:problem:url-taken");
    let dead = json!({ "url": "http://127.0.0.1:9/bigbluebutton/api", "secret": "geheim" });
    let problem = api.expect(409, "POST /servers", Some(dead.clone())).await;
    assert_eq!(problem["type"], "urn:scalelite:problem:server-unusable");
    let mut forced = dead;
    for (name, value) in [
        ("force", json!(true)),
        ("tag", json!("x")),
        ("max_users", json!(300)),
        ("load_multiplier", json!(1.5)),
    ] {
        forced[name] = value;
    }
    let added = api.expect(201, "POST /servers", Some(forced)).await;
    assert_eq!(
        (&added["state"], &added["tag"], &added["max_users"]),
        (&json!("disabled"), &json!("x"), &json!(300))
    );
    let path = format!("/servers/{}", added["id"].as_str().unwrap());

    // A change with the version that was read is made, and with an older one it is not.
    let read = api.send(&format!("GET {path}"), &[], None).await;
    let etag = read.header("etag").unwrap().to_owned();
    let patch = json!({ "tag": null, "secret": "geheim-2", "max_meetings": 7 });
    let changed = api.send(&format!("PATCH {path}"), &[("If-Match", &etag)], Some(&patch)).await;
    let shown = check("PATCH", &changed, 200);
    assert_eq!(
        (&shown["tag"], &shown["max_meetings"], &shown["max_users"]),
        (&Value::Null, &json!(7), &json!(300))
    );
    assert!(changed.header("etag").is_some_and(|new| new != etag));
    let again = api.send(&format!("PATCH {path}"), &[("If-Match", &etag)], Some(&patch)).await;
    let problem = check("PATCH", &again, 412);
    assert_eq!(problem["type"], "urn:scalelite:problem:changed-meanwhile");
    let deleted = api.send(&format!("DELETE {path}"), &[("If-Match", &etag)], None).await;
    check("DELETE", &deleted, 412);
    api.expect(200, &format!("PATCH {path}"), Some(json!({}))).await;

    assert_eq!(api.expect(200, &format!("POST {path}/cordon"), None).await["state"], "cordoned");
    assert_eq!(
        api.expect(200, &format!("POST {path}/disable"), Some(json!({}))).await["state"],
        "disabled"
    );
    assert_eq!(api.get(&format!("{path}/drain")).await["answered"], false);
    api.expect(204, &format!("DELETE {path}"), None).await;
    api.expect(404, &format!("DELETE {path}"), None).await;

    let changes = api.get("/audit?action=server&actor=token%20deploy&limit=500").await;
    let actions: Vec<&str> = changes["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    // What changes nothing leaves no record.
    assert_eq!(
        actions,
        [
            "server.add",
            "server.update",
            "server.update",
            "server.update",
            "server.update",
            "server.remove"
        ]
    );
    assert!(!changes.to_string().contains("geheim"));
    assert!(changes["items"][0]["request_id"].is_string());
}

#[tokio::test]
async fn users_are_not_put_out_by_mistake() {
    let deployment = start_deployment(1).await;
    let token = make_token(&deployment, "ops --scope servers:write,meetings:write").await;
    let (product, simulated) = (&deployment.product, &deployment.pool.servers()[0]);
    let api = ApiClient::new(product, &token);
    let created = product.call("create", "meetingID=room%2F1+%C3%A4&name=Room").await.unwrap();
    assert_success(&created);
    assert!(simulated.set_users("room/1 ä", 3, 1));
    let servers = api.get("/servers").await;
    let path = format!("/servers/{}", servers["items"][0]["id"].as_str().unwrap());
    let polled = api.expect(200, "POST /polls", Some(json!({ "target": "servers" }))).await;
    assert_eq!(polled["answered"], 1);
    for request in [format!("DELETE {path}"), format!("POST {path}/disable")] {
        let problem = api.expect(409, &request, None).await;
        assert_eq!(problem["type"], "urn:scalelite:problem:occupied");
        assert!(problem["detail"].as_str().unwrap().contains("3 users"), "{problem}");
    }
    let meeting = "/meetings/room%2F1%20%C3%A4";
    assert_eq!(api.get(meeting).await["users"], 3);
    assert_eq!(api.get("/meetings").await["items"][0]["id"], "room/1 ä");
    let info = api.get(&format!("{meeting}/info")).await;
    assert!(info["xml"].as_str().unwrap().contains("<moderatorPW>***</moderatorPW>"), "{info}");
    let placement = api.get(&format!("{meeting}/placement")).await;
    assert_eq!(placement["now"]["candidates"].as_array().map(Vec::len), Some(1));
    let trial = api.get("/placement?size=50").await;
    assert_eq!(
        (&trial["server"], &trial["expected_users"]),
        (&servers["items"][0]["id"], &json!(50))
    );
    api.expect(204, &format!("DELETE {meeting}"), None).await;
    api.expect(404, &format!("GET {meeting}"), None).await;
    assert!(simulated.meeting("room/1 ä").is_none());
    assert_eq!(api.expect(200, &format!("POST {path}/drain"), None).await["state"], "cordoned");
    assert_eq!(api.expect(200, &format!("POST {path}/panic"), None).await["meetings"], 0);
    assert_eq!(api.get(&path).await["state"], "disabled");
    assert_eq!(api.expect(200, &format!("POST {path}/enable"), None).await["online"], true);
    assert_eq!(api.get("/status").await["enabled_servers"], 1);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_token_of_a_tenant_sees_only_what_is_its_own() {
    let settings = [MULTITENANCY, ("URL_HOST", "balancer.test")];
    let deployment = start_deployment_with(1, &settings).await;
    let product = &deployment.product;
    let acme = add_tenant(&deployment, "acme", "s1").await;
    let beta = add_tenant(&deployment, "beta", "s2").await;
    for (host, secret, id) in [("acme", "s1", "a-room"), ("beta", "s2", "b-room")] {
        let host = format!("{host}.balancer.test");
        let query = format!("meetingID={id}&name=Room");
        assert_success(&call_as_tenant(&deployment, &host, secret, "create", &query).await);
    }
    let scopes = "meetings:write,tenants:write,recordings:write";
    let token = make_token(&deployment, &format!("acme --scope {scopes} --tenant acme")).await;
    let api = ApiClient::new(product, &token);
    let holder = api.get("/whoami").await;
    assert_eq!(holder["tenant"], acme);
    let meetings = api.get("/meetings").await;
    assert_eq!(meetings["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(meetings["items"][0]["id"], "a-room");
    for request in [
        "GET /meetings/b-room".to_owned(),
        format!("GET /meetings/b-room?tenant={beta}"),
        "DELETE /meetings/b-room".to_owned(),
        format!("GET /tenants/{beta}"),
        format!("PATCH /tenants/{beta}"),
        format!("GET /tenants/{beta}/settings"),
    ] {
        api.expect(404, &request, None).await;
    }
    assert_eq!(api.get(&format!("/meetings?tenant={beta}")).await["items"], json!([]));
    for (request, body) in [
        ("GET /foreign-meetings".to_owned(), None),
        ("GET /meetings/a-room/placement".to_owned(), None),
        ("GET /imports".to_owned(), None),
        ("POST /callbacks/retry".to_owned(), None),
        ("POST /tenants".to_owned(), Some(json!({ "name": "x", "secrets": ["y"] }))),
        (format!("DELETE /tenants/{acme}"), None),
        (format!("PATCH /tenants/{acme}"), Some(json!({ "name": "other" }))),
    ] {
        let problem = api.expect(403, &request, body).await;
        assert_eq!(problem["type"], "urn:scalelite:problem:limited-to-tenant", "{request}");
    }
    let problem = api.expect(403, "GET /servers", None).await;
    assert_eq!(problem["scope"], "servers:read");
    let tenants = api.get("/tenants").await;
    assert_eq!(tenants["items"][0]["id"], acme);
    assert_eq!(tenants["items"].as_array().map(Vec::len), Some(1));

    // Its own secrets and settings it may change; they are never shown.
    let change = json!({ "secrets": ["geheim-1", "geheim-2"], "lrs": { "endpoint": "https://lrs", "password": "geheim-3" } });
    let changed = api.expect(200, &format!("PATCH /tenants/{acme}"), Some(change)).await;
    assert_eq!((&changed["secrets"], &changed["lrs"]["has_password"]), (&json!(2), &json!(true)));
    assert!(!changed.to_string().contains("geheim"));
    let setting = json!({ "param": "record", "value": "true", "override": true });
    let settings = format!("/tenants/{acme}/settings");
    let added = api.expect(201, &format!("POST {settings}"), Some(setting)).await;
    assert_eq!(api.get(&settings).await["items"], json!([added]));
    let one = format!("DELETE {settings}/{}", added["id"].as_str().unwrap());
    api.expect(204, &one, None).await;
    api.expect(404, &one, None).await;
    let query = "meetingID=a-room";
    let called =
        call_as_tenant(&deployment, "acme.balancer.test", "geheim-2", "isMeetingRunning", query)
            .await;
    assert_success(&called);

    let all = ApiClient::new(product, &make_token(&deployment, "all --scope admin").await);
    assert_eq!(all.get("/meetings").await["items"].as_array().map(Vec::len), Some(2));
    all.expect(204, &format!("DELETE /tenants/{beta}"), None).await;
    let added = json!({ "name": "gamma", "secrets": ["s3"] });
    all.expect(201, "POST /tenants", Some(added.clone())).await;
    assert_eq!(
        all.expect(409, "POST /tenants", Some(added)).await["type"],
        "urn:scalelite:problem:name-taken"
    );
}

#[tokio::test]
async fn a_request_with_a_key_is_made_once() {
    let deployment = start_deployment(0).await;
    let token = make_token(&deployment, "admin --scope admin").await;
    let api = ApiClient::new(&deployment.product, &token);
    let body = json!({ "name": "made", "scopes": ["read"], "expires_in_s": 60 });
    let key = [("Idempotency-Key", "once-1")];
    let first = check("POST", &api.send("POST /tokens", &key, Some(&body)).await, 201);
    let again = check("POST", &api.send("POST /tokens", &key, Some(&body)).await, 201);
    assert_eq!(first, again);
    let made = ApiClient::new(&deployment.product, first["secret"].as_str().unwrap());
    assert_eq!(made.get("/whoami").await["name"], "made");
    let other = json!({ "name": "other", "scopes": ["read"] });
    let problem = check("POST", &api.send("POST /tokens", &key, Some(&other)).await, 422);
    assert_eq!(problem["type"], "urn:scalelite:problem:key-reused");
    // Without a key, the name is taken; a request that was refused may be made again with its key.
    api.expect(409, "POST /tokens", Some(body.clone())).await;
    let key = [("Idempotency-Key", "once-2")];
    check("POST", &api.send("POST /tokens", &key, Some(&body)).await, 409);
    api.expect(204, "DELETE /tokens/made", None).await;
    check("POST", &api.send("POST /tokens", &key, Some(&body)).await, 201);
    for key in ["", "a b", "ä", &"x".repeat(256)] {
        let response = api.send("POST /tokens", &[("Idempotency-Key", key)], Some(&other)).await;
        assert_eq!(check("POST", &response, 400)["errors"][0]["in"], "header", "{key}");
    }
    // The key belongs to the token.
    let second = make_token(&deployment, "second --scope admin").await;
    let second = ApiClient::new(&deployment.product, &second);
    check(
        "POST",
        &second.send("POST /tokens", &[("Idempotency-Key", "once-1")], Some(&other)).await,
        201,
    );
    assert_eq!(made.send("GET /whoami", &[], None).await.status, 401, "revoked");
}

#[tokio::test]
async fn the_whole_deployment_is_described_without_secrets() {
    let settings = [("MANAGEMENT_SECRET", "geheim-1"), ("CALLBACK_RETENTION_DAYS", "7")];
    let deployment = start_deployment_with(0, &settings).await;
    let product = &deployment.product;
    let token = make_token(&deployment, "admin --scope admin").await;
    let api = ApiClient::new(product, &token);
    let config = api.get("/config").await;
    let find = |name: &str| {
        config["settings"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert_eq!(find("CALLBACK_RETENTION_DAYS")["value"], "7");
    let shown = config.to_string();
    assert!(!shown.contains("geheim") && !shown.contains(testkit::product::SECRET), "{shown}");
    wait_until("parts are looked at", async || {
        api.get("/readiness").await["parts"].as_array().is_some_and(|parts| !parts.is_empty())
    })
    .await
    .unwrap();
    let doctor = api.get("/doctor").await;
    assert!(
        doctor["findings"].as_array().unwrap().iter().any(|it| it["level"] == "ok"),
        "{doctor}"
    );
    for path in [
        "/recordings",
        "/recordings?state=any&limit=1",
        "/imports",
        "/imports?state=quarantined",
        "/callbacks",
    ] {
        assert_eq!(api.get(path).await["items"], json!([]), "{path}");
    }
    let tokens = api.get("/tokens").await;
    assert_eq!(tokens["items"][0]["name"], "admin");
    assert!(
        tokens["items"][0]["last_used_at"].is_string() && !tokens.to_string().contains(&token[4..])
    );
    // The documentation needs no token, and is what the command prints.
    let document = product.get(&format!("{API}/openapi.json")).await.unwrap();
    assert_eq!(document.status, 200);
    let printed = testkit::process::run(product.setup(), &["generate", "openapi"]).await.unwrap();
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parse(&document.text()), parse(&printed.stdout));
    // The log is written behind the answers.
    wait_until("the calls are logged", async || product.log().contains("showSettings"))
        .await
        .unwrap();
    assert!(!product.log().contains(&token[4..]), "{}", product.log());
}

#[tokio::test]
async fn it_is_where_the_original_management_api_is() {
    let deployment = start_deployment_with(0, &[("MANAGEMENT_API_ENABLED", "false")]).await;
    let token = make_token(&deployment, "admin --scope admin").await;
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let response = send(&deployment.product, "GET", &format!("{API}/whoami"), &headers, None).await;
    assert!(response.text().contains("unsupportedRequest"), "{}", response.text());
}
