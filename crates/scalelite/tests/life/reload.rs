//! Tests of SIGHUP: settings that can change do, others are named, and nothing that is wrong changes anything.

use std::time::Duration;

use bbb_sim::Latency;
use testkit::product::{
    Product, SECRET, exchange, new_request, signed_target, signed_target_with, wait_until,
};

use crate::tools::{assert_success, create_query, is_success, setup, start_pool};

/// Another secret than that of the tests.
const NEW_SECRET: &str = "new-secret-of-the-tests";

/// Sends SIGHUP, and waits until the log has this text so many times.
async fn reload(product: &Product, text: &str, times: usize) {
    product.send_signal("HUP").await.unwrap();
    let is_logged = async || product.log().matches(text).count() >= times;
    wait_until(text, is_logged).await.unwrap();
}

#[tokio::test]
async fn settings_that_can_change_do_and_others_are_named() {
    let (pool, setup) = (start_pool(1).await, setup());
    let file = setup.folder().join("scalelite.env");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(&format!("LOADBALANCER_SECRET={SECRET}\nPOLL_INTERVAL=20\n"));
    let setup = setup
        .with_setting("SCALELITE_ENV_FILE", &file.display().to_string())
        .with_setting("LOADBALANCER_SECRET", "")
        .with_setting("POLL_INTERVAL", "");
    let product = setup.start().await.unwrap();
    product.add_simulated_server(&pool.servers()[0]).await.unwrap();
    assert_success(&product.call("create", &create_query("before")).await.unwrap());

    // A create that is under way is answered, and a request that comes later meets the new settings.
    let server = pool.servers()[0].clone();
    server.set_latency(Latency::Fixed(Duration::from_secs(1)));
    let _ = server.take_log();
    let port = product.port();
    let target = signed_target("create", &create_query("during"));
    let creating = tokio::spawn(async move { exchange(port, &new_request("GET", &target)).await });
    let arrived = async || server.log_len() > 0;
    wait_until("at the server", arrived).await.unwrap();
    write(&format!(
        "LOADBALANCER_SECRET={NEW_SECRET}\nPOLL_INTERVAL=1\nGET_MEETINGS_API_DISABLED=true\n\
         PORT=4321\nMAX_CONNECTIONS=7\nRAILS_LOG_LEVEL=debug\nBIND=tcp://127.0.0.1:4321\n"
    ));
    reload(&product, "settings reloaded", 1).await;
    let log = product.log();
    let changed =
        "changed=\"LOADBALANCER_SECRET GET_MEETINGS_API_DISABLED POLL_INTERVAL RAILS_LOG_LEVEL\"";
    assert!(log.contains(changed), "{log}");
    for name in ["PORT", "MAX_CONNECTIONS"] {
        let line = format!("setting changed: it needs a restart setting=\"{name}\"");
        assert!(log.contains(&line), "{line}: {log}");
    }
    assert!(log.contains("line of the environment file has no effect setting=\"BIND\""), "{log}");
    assert!(!log.contains(NEW_SECRET) && !log.contains(SECRET), "{log}");
    assert_success(&creating.await.unwrap().unwrap());
    server.set_latency(Latency::None);
    let old = product.call("getMeetingInfo", "meetingID=before").await.unwrap();
    assert_eq!(old.xml_field("messageKey"), "checksumError");
    let call = async |name: &str, query: &str| {
        product.get(&signed_target_with(NEW_SECRET, name, query)).await.unwrap()
    };
    assert_success(&call("getMeetingInfo", "meetingID=before").await);
    assert!(call("getMeetings", "").await.text().contains("noMeetings"));
    // The jobs have begun anew: polls come every second, and the log tells them at the level debug.
    let polls = async || product.log().matches("poll cycle finished").count() >= 2;
    wait_until("polls", polls).await.unwrap();

    // What is wrong changes nothing.
    for (times, text) in
        ["IDLE_TIMEOUT=soon\n", "LOADBALANCER_SECRET=\"x\n", "A=1\n", "REDIS_URL=redis://h:x\n"]
            .iter()
            .enumerate()
    {
        write(text);
        reload(&product, "settings not reloaded", times + 1).await;
        assert!(is_success(&call("getMeetingInfo", "meetingID=before").await), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    reload(&product, "settings not reloaded", 5).await;
    write(&format!("LOADBALANCER_SECRET={SECRET}\nGET_MEETINGS_API_DISABLED=true\n"));
    reload(&product, "settings reloaded", 2).await;
    assert_success(&product.call("getMeetingInfo", "meetingID=during").await.unwrap());
    assert!(!product.log().contains("panicked"), "{}", product.log());
}

#[tokio::test]
async fn no_number_of_hangups_ends_the_process() {
    let mut product = setup().with_setting("SHUTDOWN_TIMEOUT", "1").start().await.unwrap();
    for _ in 0..30 {
        product.send_signal("HUP").await.unwrap();
    }
    assert_eq!(product.get("/health_check").await.unwrap().status, 200);
    reload(&product, "settings reloaded", 1).await;
    product.terminate().await.unwrap();
    product.send_signal("HUP").await.unwrap();
    assert_eq!(product.wait_for_exit().await.unwrap().code(), Some(0));
}
