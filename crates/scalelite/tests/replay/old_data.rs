//! Data of the original that the product uses without migration: of its newest version, and of
//! 2020.

use crate::keyspace::Keyspace;
use crate::{read_fixture, start_environment};
use bbb_sim::{BbbPool, Preload};
use testkit::private::{Postgres, Redis};
use testkit::product::{Product, wait_until};

const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");

struct OriginalDeployment {
    redis: Redis,
    pool: BbbPool,
    product: Product,
    before: Keyspace,
}

/// Starts a balancer on a recorded keyspace. The first server has the meetings `on_first`.
async fn start_on_keyspace(
    file: &str,
    step: usize,
    on_first: &[&str],
    settings: &[(&str, &str)],
) -> OriginalDeployment {
    let (redis, pool, setup) = start_environment(settings).await;
    let ids = on_first.iter().map(ToString::to_string).collect();
    pool.server(1).preload(Preload { ids, users: 4, age_s: 7200, ..Preload::default() });
    let before = Keyspace::from_recording(&read_fixture(file)[step]["keys"], pool.server(1).port());
    before.write_to(&redis).await;
    let product = setup.start().await.unwrap();
    OriginalDeployment { redis, pool, product, before }
}

impl OriginalDeployment {
    async fn run_command(&self, arguments: &[&str]) -> String {
        let output = self.product.setup().run_command(arguments).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn call(&self, name: &str, query: &str) -> String {
        self.product.call(name, query).await.unwrap().text()
    }
}

#[tokio::test]
async fn a_pool_of_the_newest_version_is_used_at_once() {
    // After `poll` number 20: M1, M2, M3 on servers 1, 2, 3.
    let deployment = start_on_keyspace("redis-transitions.json", 20, &["M1"], &[]).await;
    let (servers, status) =
        (deployment.run_command(&["servers"]).await, deployment.run_command(&["status"]).await);
    assert_eq!(servers.matches("\tonline").count(), 3, "{servers}");
    assert!(servers.contains("load: 37.5") && servers.contains("tag: blue"), "{servers}");
    assert_eq!(status.matches("enabled").count(), 3, "{status}");
    let meetings = deployment.run_command(&["meetings", "list"]).await;
    assert!(["M1", "M2", "M3"].iter().all(|id| meetings.contains(id)), "{meetings}");
    let info = deployment.call("getMeetingInfo", "meetingID=M1").await;
    assert!(info.contains("<participantCount>4<"), "{info}");
    let join = deployment.product.call("join", "meetingID=M1&fullName=A&password=x").await.unwrap();
    assert_eq!(join.status, 302, "{}", join.text());
    let created = deployment.call("create", "meetingID=M1").await;
    assert!(created.contains("SUCCESS"), "{created}");
    // Only the load has changed, by the join.
    let mut expected = deployment.before.clone();
    let first = deployment.before.field("meeting:M1", "server_id");
    expected
        .change_scores("server_load", |id, score| if id == first { score + 1.0 } else { score });
    let is_counted = async || {
        Keyspace::read_from(&deployment.redis).await.list_differences(&expected).is_empty()
    };
    wait_until("counted", is_counted).await.unwrap();
    assert!(deployment.call("end", "meetingID=M1").await.contains("SUCCESS"));
    assert!(deployment.call("getMeetingInfo", "meetingID=M1").await.contains("notFound"));
}

#[tokio::test]
async fn a_pool_of_2020_is_used_at_once() {
    let deployment = start_on_keyspace("redis-2020.json", 0, &["old-room"], &[]).await;
    let servers = deployment.run_command(&["servers"]).await;
    let states = ["\tenabled", "\tdisabled", "\tonline"].map(|word| servers.matches(word).count());
    assert_eq!(states, [2, 1, 2], "{servers}");
    assert!(servers.contains("load multiplier: 1.0") && servers.contains("load multiplier: 2.0"));
    assert!(deployment.call("getMeetingInfo", "meetingID=old-room").await.contains("SUCCESS"));
    let join =
        deployment.product.call("join", "meetingID=old-room&fullName=A&password=x").await.unwrap();
    assert_eq!(join.status, 302);
    // An id in the set of meetings without a record of the meeting.
    assert!(deployment.call("getMeetingInfo", "meetingID=expired-room").await.contains("notFound"));
    assert!(deployment.call("create", "meetingID=expired-room").await.contains("SUCCESS"));
    deployment.product.poll_servers().await.unwrap();
    let after = Keyspace::read_from(&deployment.redis).await;
    assert_eq!(after.members("server_enabled"), deployment.before.members("server_enabled"));
    assert!(after.hash("meeting:old-room").is_some(), "the meeting runs on its server");
    let loads = deployment.product.list_loads().await.unwrap();
    // The second value includes the expected users of the meeting that was just created.
    assert!([4.0, 19.0].contains(&loads[0].1), "{loads:?}");
    let id = &deployment.before.members("server_enabled")[0];
    deployment.run_command(&["servers", "cordon", id]).await;
    let after = Keyspace::read_from(&deployment.redis).await;
    assert_eq!(after.field(&format!("server:{id}"), "state"), "cordoned");
    assert_eq!(after.members("server_enabled").len(), 1);
    assert_eq!(deployment.pool.servers().len(), 3);
}

/// Both stores of the original at once.
#[tokio::test]
async fn redis_and_postgresql_together() {
    let postgres = Postgres::shared().await.unwrap();
    let database = postgres.next_database().await.unwrap();
    postgres.psql(&database, DUMP).await.unwrap();
    let before = postgres.dump(&database, &["--inserts", "--schema=public"]).await.unwrap();
    let url = postgres.url(&database);
    let settings = [("DATABASE_URL", url.as_str()), ("MULTITENANCY_ENABLED", "true")];
    let deployment = start_on_keyspace("redis-tenants.json", 9, &[], &settings).await;
    let tenants = deployment.run_command(&["tenants"]).await;
    assert!(tenants.contains("name: t1") && tenants.contains("lrs_username: u"), "{tenants}");
    let settings = deployment.run_command(&["tenant-settings"]).await;
    assert!(settings.contains("param: welcome"), "{settings}");
    let is_adopted = async || {
        let doctor = deployment.product.setup().run_command(&["doctor", "--json"]).await.unwrap();
        let report = String::from_utf8(doctor.stdout).unwrap();
        report.contains("6 of 6 migrations of the original, 4 recordings")
    };
    wait_until("adopted", is_adopted).await.unwrap();
    let rows = |dump: &str| -> Vec<String> {
        dump.lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect()
    };
    let after = postgres.dump(&database, &["--inserts", "--schema=public"]).await.unwrap();
    assert_eq!(rows(&after), rows(&before), "no row of the original has changed");
}
