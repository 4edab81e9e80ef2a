//! The system's clock is set while the program runs: a death is noticed as without.

use std::path::Path;

use bbb_sim::FaultMode;
use testkit::deployment::TestDeployment;
use testkit::product::wait_until;

use crate::tools::{assert_success, create_query, start_deployment};

/// Where Debian and others install the library that shows a program another time.
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// Steps of the clock in seconds: an hour, a day, and ten years, back and ahead.
const STEPS_S: [i64; 6] = [-3_600, 3_600, -86_400, 86_400, -315_360_000, 315_360_000];

async fn is_first_online(deployment: &TestDeployment) -> bool {
    let output = deployment.product.setup().run_command(&["servers", "--json"]).await.unwrap();
    let servers: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    servers[0]["health"]["online"].as_bool().unwrap()
}

#[tokio::test]
async fn a_death_is_noticed_whatever_the_clock_does() {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
    let library = library.expect("bin/test installs libfaketime");
    let folder = tempfile::tempdir().unwrap();
    let offset = folder.path().join("offset");
    std::fs::write(&offset, "+0").unwrap();
    let settings = [
        ("HEARTBEAT_INTERVAL", "1"),
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ];
    let deployment = start_deployment(2, &settings).await;
    let server = deployment.pool.server(1);
    for (number, step_s) in STEPS_S.into_iter().enumerate() {
        std::fs::write(&offset, format!("{step_s:+}")).unwrap();
        server.set_fault(FaultMode::Refuse);
        let is_offline = async || !is_first_online(&deployment).await;
        wait_until(&format!("offline after a step by {step_s} s"), is_offline).await.unwrap();
        let query = create_query(&format!("after-{number}"));
        assert_success(&deployment.product.call("create", &query).await.unwrap());
        server.clear_fault();
        let is_back = async || is_first_online(&deployment).await;
        wait_until(&format!("online after a step by {step_s} s"), is_back).await.unwrap();
        let info = format!("meetingID=after-{number}");
        assert_success(&deployment.product.call("getMeetingInfo", &info).await.unwrap());
    }
}
