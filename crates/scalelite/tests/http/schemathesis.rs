//! The management API, version 1, against its own documentation: schemathesis makes requests from the schema, valid and invalid ones, and
//! holds each answer against it.

use std::process::Stdio;

use tokio::process::Command;

use crate::api_client::{API, make_token};
use crate::tenants::MULTITENANCY;
use crate::tools::start_deployment_with;

/// What the program must accept: the schema does not say which servers exist, which hosts answer, and which texts are dates.
const CONFIG: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 422]
"#;
/// How long requests are made, in seconds.
const MAX_TIME: &str = "12";

#[tokio::test]
async fn the_api_does_what_its_documentation_says() {
    let settings = [MULTITENANCY, ("CONNECT_TIMEOUT", "0.5"), ("RESPONSE_TIMEOUT", "2")];
    let deployment = start_deployment_with(2, &settings).await;
    let token = make_token(&deployment, "schemathesis --scope admin").await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let document = format!("http://127.0.0.1:{}{API}/openapi.json", deployment.product.port());
    let output = Command::new("schemathesis")
        .arg("--config-file")
        .arg(&config)
        .args(["run", &document, "--header", &format!("Authorization: Bearer {token}")])
        .args(["--phases", "coverage,fuzzing", "--max-time", MAX_TIME, "--seed", "1"])
        .args(["--suppress-health-check", "all", "--warnings", "off", "--no-color"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("schemathesis is missing: bin/test installs it");
    let text = String::from_utf8_lossy(&output.stdout);
    let begin = text.char_indices().rev().nth(12_000).map_or(0, |(at, _)| at);
    assert!(output.status.success(), "{}", &text[begin..]);
    assert!(text.contains("selected /"), "{}", &text[begin..]);
    // The process is still there, and its log has no failure of its own.
    assert_eq!(deployment.product.get("/livez").await.unwrap().status, 200);
    assert!(!deployment.product.log().contains("panicked"), "{}", deployment.product.log());
}
