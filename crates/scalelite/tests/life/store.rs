//! Tests of a full disk: the balancer reports it, keeps running, and recovers when there is space again.

use testkit::product::{Product, wait_until};
use testkit::small_disk::SmallDisk;

use crate::tools::{assert_success, create_query, is_success, setup, start_pool};

pub(crate) async fn try_create(product: &Product, id: &str) -> bool {
    let response = product.call("create", &create_query(id)).await.unwrap();
    assert_eq!(response.status, 200);
    if !is_success(&response) {
        assert_eq!(response.xml_field("messageKey"), "internalError");
        let text = "The balancer's store is unavailable.";
        assert_eq!(response.xml_field("message"), text);
    }
    is_success(&response)
}

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let setup = setup();
    let path = setup.folder().join("small");
    let Some(small) = SmallDisk::mount(&path, 2).unwrap() else { return };
    let pool = start_pool(1).await;
    let data = path.display().to_string();
    // The directory is removed after the disk that is mounted in it.
    let product = setup.clone().with_setting("SCALELITE_DATA_DIR", &data).start().await;
    let product = product.unwrap();
    product.add_simulated_server(&pool.servers()[0]).await.unwrap();
    assert!(try_create(&product, "before").await);

    small.fill().unwrap();
    // Creates succeed until the free space inside SQLite's files is used up.
    let mut n = 0;
    let fails = async || {
        n += 1;
        !try_create(&product, &format!("full-{n}")).await
    };
    wait_until("full", fails).await.unwrap();
    let unhealthy = async || product.get("/health_check").await.unwrap().status == 503;
    wait_until("unhealthy", unhealthy).await.unwrap();
    let health = product.get("/health_check").await.unwrap();
    assert_eq!(health.text(), "failure: the store cannot be used");
    assert!(product.log().contains("full"), "{}", product.log());
    for _ in 0..20 {
        assert!(!try_create(&product, "refused").await);
    }
    // Calls that write nothing still work.
    let info = product.call("getMeetingInfo", "meetingID=before");
    assert_success(&info.await.unwrap());
    let join = product.call("join", "meetingID=before&fullName=A&role=VIEWER");
    assert_eq!(join.await.unwrap().status, 302);

    small.free_space().unwrap();
    let healthy = async || product.get("/health_check").await.unwrap().status == 200;
    wait_until("healthy again", healthy).await.unwrap();
    assert!(try_create(&product, "after").await);
    assert!(try_create(&product, "refused").await);
    assert!(!product.log().contains("panicked"));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_is_one_line_and_exit_code_1() {
    let setup = setup();
    let file = setup.folder().join("file");
    std::fs::write(&file, "x").unwrap();
    let broken = setup.folder().join("broken");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("scalelite.db"), "no database".repeat(1_000)).unwrap();
    for data in [file, broken] {
        let data = data.display().to_string();
        let mut product = setup.clone().with_setting("SCALELITE_DATA_DIR", &data).spawn().unwrap();
        assert_eq!(product.wait_for_exit().await.unwrap().code(), Some(1));
        let log = product.log();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains(&data), "{log}");
    }
}
