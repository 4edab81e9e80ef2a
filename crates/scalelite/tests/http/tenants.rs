//! Tenants: each has a host name, secrets, meetings and settings of its own, and cannot see or
//! change those of others.

use bbb_sim::Algorithm;
use serde_json::{Value, json};
use testkit::deployment::TestDeployment;
use testkit::process;
use testkit::product::{ClientResponse, exchange, new_request, wait_until};

use crate::tools::{
    assert_failed, assert_success, parameter, send, start_deployment_with, take_requests,
};

pub(crate) const MULTITENANCY: (&str, &str) = ("MULTITENANCY_ENABLED", "true");
const HOST: (&str, &str) = ("URL_HOST", "balancer.test");

/// Adds a tenant; returns its id.
pub(crate) async fn add_tenant(deployment: &TestDeployment, name: &str, secrets: &str) -> String {
    let tenant = json!({ "tenant": { "name": name, "secrets": secrets } });
    let added = deployment.product.call_management("addTenant", Some(tenant)).await.unwrap();
    added["tenant"]["id"].as_str().unwrap().to_owned()
}

/// Sends a call to a host name, signed with a secret.
pub(crate) async fn call_as_tenant(
    deployment: &TestDeployment,
    host: &str,
    secret: &str,
    name: &str,
    query: &str,
) -> ClientResponse {
    let sum = Algorithm::Sha256.hex_digest(&format!("{name}{query}{secret}"));
    let mut request =
        new_request("GET", &format!("/bigbluebutton/api/{name}?{query}&checksum={sum}"));
    request.headers = vec![("Host".to_owned(), host.to_owned())];
    exchange(deployment.product.port(), &request).await.unwrap()
}

/// Sends a management call; returns status and body.
async fn call_management(deployment: &TestDeployment, name: &str, body: &str) -> (u16, Value) {
    let sum = Algorithm::Sha256.hex_digest(&format!("{name}{}", testkit::product::SECRET));
    let target = format!("/scalelite/api/{name}?checksum={sum}");
    let json = [("Content-Type", "application/json")];
    let response = send(&deployment.product, "POST", &target, &json, Some(body.as_bytes())).await;
    (response.status, serde_json::from_str(&response.text()).unwrap())
}

async fn run_command(deployment: &TestDeployment, arguments: &[&str]) -> String {
    let output = process::run(deployment.product.setup(), arguments).await.unwrap();
    assert_eq!((output.stderr.as_str(), output.exit_code), ("", 0));
    output.stdout
}

#[tokio::test]
async fn a_call_is_signed_with_a_secret_of_the_hosts_tenant() {
    let deployment = start_deployment_with(0, &[MULTITENANCY, HOST]).await;
    let acme = add_tenant(&deployment, "acme", "s1:s2").await;
    add_tenant(&deployment, "beta", "s3").await;
    let running = async |host: &str, secret: &str| {
        call_as_tenant(&deployment, host, secret, "isMeetingRunning", "meetingID=x").await
    };
    for (host, secret) in [
        ("acme.balancer.test", "s1"),
        ("acme.balancer.test", "s2"),
        ("ACME.Balancer.test:8080", "s1"),
        ("beta.balancer.test", "s3"),
    ] {
        assert_success(&running(host, secret).await);
    }
    for (host, secret) in [
        ("acme.balancer.test", "s3"),
        ("acme.balancer.test", ""),
        ("acme.balancer.test", "s1:s2"),
        ("acme.balancer.test", testkit::product::SECRET),
        ("gamma.balancer.test", "s1"),
        ("balancer.test", testkit::product::SECRET),
    ] {
        assert_failed(&running(host, secret).await, "checksumError");
    }
    assert_eq!(running("acme.elsewhere.test", "s1").await.status, 403);
    deployment.product.call_management("deleteTenant", Some(json!({ "id": acme }))).await.unwrap();
    assert_failed(&running("acme.balancer.test", "s1").await, "checksumError");
    assert!(!deployment.product.log().contains("s1:s2"));
}

#[tokio::test]
async fn the_same_meeting_id_of_two_tenants_is_two_meetings() {
    let deployment = start_deployment_with(2, &[MULTITENANCY]).await;
    add_tenant(&deployment, "acme", "s1").await;
    add_tenant(&deployment, "beta", "s2").await;
    let (acme, beta) = (("acme.any.test", "s1"), ("beta.any.test", "s2"));
    for (host, secret) in [acme, beta] {
        let query = "meetingID=m1&name=room&moderatorPW=mp";
        assert_success(&call_as_tenant(&deployment, host, secret, "create", query).await);
    }
    assert_eq!(deployment.servers_with("m1").len(), 2);
    let server_of = async |(host, secret): (&str, &str)| {
        let join = call_as_tenant(
            &deployment,
            host,
            secret,
            "join",
            "meetingID=m1&fullName=Me&password=mp",
        )
        .await;
        let location = join.header("location").unwrap_or_default().to_owned();
        deployment.pool.servers().iter().position(|server| location.starts_with(&server.url()))
    };
    let (at_acme, at_beta) = (server_of(acme).await, server_of(beta).await);
    assert!(at_acme.is_some() && at_beta.is_some() && at_acme != at_beta);
    let listed = async |(host, secret): (&str, &str)| {
        call_as_tenant(&deployment, host, secret, "getMeetings", "").await.text()
    };
    for ((host, secret), name) in [(acme, "acme"), (beta, "beta")] {
        let text = listed((host, secret)).await;
        assert_eq!(text.matches("<meetingID>m1</meetingID>").count(), 1, "{text}");
        assert!(text.contains(&format!("<tenant-name>{name}</tenant-name>")), "{text}");
    }
    assert_success(
        &call_as_tenant(&deployment, acme.0, acme.1, "end", "meetingID=m1&password=mp").await,
    );
    assert_eq!(server_of(beta).await, at_beta);
    assert_eq!(server_of(acme).await, None);
    let listing = run_command(&deployment, &["meetings", "list"]).await;
    assert_eq!(listing.matches("\tTenant ID: ").count(), 1, "{listing}");
}

#[tokio::test]
async fn a_create_cannot_name_another_tenant() {
    let deployment =
        start_deployment_with(1, &[MULTITENANCY, ("CREATE_EXCLUDE_PARAMS", "meta_tenant-id")])
            .await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    let query = "meetingID=m1&name=room&meta_tenant-id=x&meta_Tenant-ID=y&meta_TENANT-NAME=z";
    assert_success(&call_as_tenant(&deployment, "acme.any.test", "s1", "create", query).await);
    let create = take_requests(deployment.pool.server(1), "create").pop().unwrap();
    assert_eq!(parameter(&create.query, "meta_tenant-id").as_deref(), Some(id.as_str()));
    assert_eq!(parameter(&create.query, "meta_tenant-name").as_deref(), Some("acme"));
    assert_eq!(create.query.to_lowercase().matches("meta_tenant-").count(), 2);
}

#[tokio::test]
async fn settings_of_a_tenant_take_precedence_over_common_rules() {
    let rules = [
        MULTITENANCY,
        ("DEFAULT_CREATE_PARAMS", "welcome=all,logo=all"),
        ("OVERRIDE_CREATE_PARAMS", "record=all"),
        ("OVERRIDE_JOIN_PARAMS", "role=all"),
    ];
    let deployment = start_deployment_with(1, &rules).await;
    let id = add_tenant(&deployment, "acme", "s1").await;
    add_tenant(&deployment, "beta", "s2").await;
    for setting in [
        ["welcome", "own", ""],
        ["name", "own", ""],
        ["record", "true", "--override"],
        ["role", "own", "--override"],
    ] {
        let [param, value, flag] = setting;
        let mut arguments = vec!["tenant-settings", "add", &id, param, value];
        arguments.extend(Some(flag).filter(|flag| !flag.is_empty()));
        run_command(&deployment, &arguments).await;
    }
    let query = "meetingID=m1&name=given&record=false";
    assert_success(&call_as_tenant(&deployment, "acme.any.test", "s1", "create", query).await);
    let create = take_requests(deployment.pool.server(1), "create").pop().unwrap().query;
    for (name, value) in
        [("welcome", "own"), ("logo", "all"), ("name", "given"), ("record", "true")]
    {
        assert_eq!(parameter(&create, name).as_deref(), Some(value), "{name}");
    }
    let join =
        call_as_tenant(&deployment, "acme.any.test", "s1", "join", "meetingID=m1&fullName=Me")
            .await;
    let location = join.header("location").unwrap();
    let query = location.split_once('?').unwrap().1;
    assert_eq!(parameter(query, "role").as_deref(), Some("own"));
    assert_eq!(parameter(query, "welcome").as_deref(), Some("own"));
    let join =
        call_as_tenant(&deployment, "beta.any.test", "s2", "join", "meetingID=m1&fullName=Me")
            .await;
    assert_failed(&join, "notFound");
}

#[tokio::test]
async fn changes_by_the_command_line_take_effect_soon() {
    let deployment = start_deployment_with(0, &[MULTITENANCY]).await;
    let served = async || {
        let response =
            call_as_tenant(&deployment, "acme.any.test", "s1", "isMeetingRunning", "meetingID=x")
                .await;
        response.xml_field("returncode") == "SUCCESS"
    };
    assert!(!served().await);
    run_command(&deployment, &["tenants", "add", "acme", "s1"]).await;
    wait_until("served", served).await.unwrap();
}

#[tokio::test]
async fn management_calls_report_errors_with_a_status() {
    let deployment = start_deployment_with(0, &[MULTITENANCY]).await;
    let acme = add_tenant(&deployment, "acme", "s1").await;
    let beta = add_tenant(&deployment, "beta", "s2").await;
    let missing = "param is missing or the value is empty: tenant";
    let incomplete = "Tenant needs a name and secrets";
    let taken = |name: &str| format!("A tenant with name={name} exists already");
    let unknown = "Couldn't find Tenant with id=none";
    let update = |id: &str, tenant: Value| json!({ "id": id, "tenant": tenant }).to_string();
    for (call, body, status, error) in [
        ("addTenant", "nonsense".to_owned(), 400, "The body is not a JSON object".to_owned()),
        ("addTenant", "{\"tenant\":{}}".to_owned(), 400, missing.to_owned()),
        ("addTenant", "{\"tenant\":{\"name\":\"x\"}}".to_owned(), 400, incomplete.to_owned()),
        ("addTenant", update("", json!({"name": " ", "secrets": "s"})), 400, incomplete.to_owned()),
        (
            "addTenant",
            update("", json!({"name": "x", "secrets": "::"})),
            400,
            incomplete.to_owned(),
        ),
        ("addTenant", update("", json!({"name": "ACME", "secrets": "s"})), 422, taken("ACME")),
        ("updateTenant", update(&beta, json!({"name": "Acme"})), 422, taken("Acme")),
        ("updateTenant", update(&beta, json!({"secrets": ""})), 400, incomplete.to_owned()),
        ("updateTenant", update(&beta, json!({})), 400, missing.to_owned()),
        ("updateTenant", update("none", json!({"name": "x"})), 404, unknown.to_owned()),
        ("deleteTenant", "{\"id\":\"none\"}".to_owned(), 404, unknown.to_owned()),
    ] {
        let response = call_management(&deployment, call, &body).await;
        let texts = json!({ "error": error, "message": error });
        assert_eq!(response, (status, texts), "{call} {body}");
    }
    let all = deployment.product.call_management("getTenants", None).await.unwrap();
    let tenant =
        |id: &str, name: &str, secrets: &str| json!({ "id": id, "name": name, "secrets": secrets });
    assert_eq!(all, json!([tenant(&acme, "acme", "s1"), tenant(&beta, "beta", "s2")]));
    let renamed = update(&acme, json!({"name": "ACME"}));
    let (status, body) = call_management(&deployment, "updateTenant", &renamed).await;
    assert_eq!((status, &body["tenant"]["name"]), (200, &json!("ACME")));
    let (status, body) =
        call_management(&deployment, "deleteTenant", &json!({ "id": acme }).to_string()).await;
    assert_eq!(
        (status, body),
        (200, json!({ "success": format!("Tenant id={acme} was destroyed") }))
    );
    let sum = Algorithm::Sha256
        .hex_digest(&format!("getTenantInfoid={beta}{}", testkit::product::SECRET));
    let target = format!("/scalelite/api/getTenantInfo?id={beta}&checksum={sum}");
    let info: Value =
        serde_json::from_str(&deployment.product.get(&target).await.unwrap().text()).unwrap();
    assert_eq!(info, tenant(&beta, "beta", "s2"));
}

#[tokio::test]
async fn tenant_calls_are_refused_without_multitenancy() {
    let deployment = start_deployment_with(0, &[]).await;
    let off = json!({ "message": "Multitenancy is disabled" });
    for name in ["addTenant", "updateTenant", "deleteTenant"] {
        assert_eq!(call_management(&deployment, name, "{}").await, (412, off.clone()));
    }
}
