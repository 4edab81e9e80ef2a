//! What works at once on data that the original left: the newest version's, and that of 2020.

use crate::keyspace::Keyspace;
use crate::{fixture, stage};
use bbb_sim::{Pool, Preload};
use testkit::private::{Postgres, Redis};
use testkit::product::{Product, until};

const DUMP: &str = include_str!("../../../testkit/data/fixtures/postgres.sql");

struct Inherited {
    redis: Redis,
    pool: Pool,
    product: Product,
    before: Keyspace,
}

/// A balancer that has just been started on a keyspace, with servers that have those meetings.
async fn inherit(
    file: &str,
    step: usize,
    on_first: &[&str],
    settings: &[(&str, &str)],
) -> Inherited {
    let (redis, pool, setup) = stage(settings).await;
    let ids = on_first.iter().map(ToString::to_string).collect();
    pool.server(1).preload(Preload { ids, users: 4, age_s: 7200, ..Preload::default() });
    let before = Keyspace::recorded(&fixture(file)[step]["keys"], pool.server(1).port());
    before.write(&redis).await;
    let product = setup.start().await.unwrap();
    Inherited { redis, pool, product, before }
}

impl Inherited {
    async fn cli(&self, arguments: &[&str]) -> String {
        let said = self.product.setup().cli(arguments).await.unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8(said.stdout).unwrap()
    }

    async fn call(&self, name: &str, query: &str) -> String {
        self.product.call(name, query).await.unwrap().text()
    }
}

#[tokio::test]
async fn a_pool_of_today_goes_on_at_once() {
    // After `poll` number 20: M1, M2, M3 on servers 1, 2, 3.
    let it = inherit("redis-transitions.json", 20, &["M1"], &[]).await;
    let (servers, status) = (it.cli(&["servers"]).await, it.cli(&["status"]).await);
    assert_eq!(servers.matches("\tonline").count(), 3, "{servers}");
    assert!(servers.contains("load: 37.5") && servers.contains("tag: blue"), "{servers}");
    assert_eq!(status.matches("enabled").count(), 3, "{status}");
    let meetings = it.cli(&["meetings", "list"]).await;
    assert!(["M1", "M2", "M3"].iter().all(|id| meetings.contains(id)), "{meetings}");
    let info = it.call("getMeetingInfo", "meetingID=M1").await;
    assert!(info.contains("<participantCount>4<"), "{info}");
    let join = it.product.call("join", "meetingID=M1&fullName=A&password=x").await.unwrap();
    assert_eq!(join.status, 302, "{}", join.text());
    let created = it.call("create", "meetingID=M1").await;
    assert!(created.contains("SUCCESS"), "{created}");
    // Nothing was rewritten but the load that a join adds.
    let mut expected = it.before.clone();
    let first = it.before.field("meeting:M1", "server_id");
    expected.score("server_load", |id, score| if id == first { score + 1.0 } else { score });
    let as_expected = async || Keyspace::read(&it.redis).await.differences(&expected).is_empty();
    until("counted", as_expected).await.unwrap();
    assert!(it.call("end", "meetingID=M1").await.contains("SUCCESS"));
    assert!(it.call("getMeetingInfo", "meetingID=M1").await.contains("notFound"));
}

#[tokio::test]
async fn a_pool_of_2020_goes_on_at_once() {
    let it = inherit("redis-2020.json", 0, &["old-room"], &[]).await;
    let servers = it.cli(&["servers"]).await;
    let states = ["\tenabled", "\tdisabled", "\tonline"].map(|word| servers.matches(word).count());
    assert_eq!(states, [2, 1, 2], "{servers}");
    assert!(servers.contains("load multiplier: 1.0") && servers.contains("load multiplier: 2.0"));
    assert!(it.call("getMeetingInfo", "meetingID=old-room").await.contains("SUCCESS"));
    let join = it.product.call("join", "meetingID=old-room&fullName=A&password=x").await.unwrap();
    assert_eq!(join.status, 302);
    // An id that outlived its meeting.
    assert!(it.call("getMeetingInfo", "meetingID=expired-room").await.contains("notFound"));
    assert!(it.call("create", "meetingID=expired-room").await.contains("SUCCESS"));
    it.product.poll().await.unwrap();
    let after = Keyspace::read(&it.redis).await;
    assert_eq!(after.members("server_enabled"), it.before.members("server_enabled"));
    assert!(after.hash("meeting:old-room").is_some(), "its server has it");
    let loads = it.product.loads().await.unwrap();
    // Perhaps with the reserve of the room that was just created.
    assert!([4.0, 19.0].contains(&loads[0].1), "{loads:?}");
    let id = &it.before.members("server_enabled")[0];
    it.cli(&["servers", "cordon", id]).await;
    let after = Keyspace::read(&it.redis).await;
    assert_eq!(after.field(&format!("server:{id}"), "state"), "cordoned");
    assert_eq!(after.members("server_enabled").len(), 1);
    assert_eq!(it.pool.servers().len(), 3);
}

/// Both stores of the original at once, with the tenant's names for a start.
#[tokio::test]
async fn redis_and_postgresql_together() {
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database("scalelite").await.unwrap();
    postgres.psql("scalelite", DUMP).await.unwrap();
    let before = postgres.dump("scalelite", &["--inserts", "--schema=public"]).await.unwrap();
    let url = postgres.url("scalelite");
    let settings = [("DATABASE_URL", url.as_str()), ("MULTITENANCY_ENABLED", "true")];
    let it = inherit("redis-tenants.json", 9, &[], &settings).await;
    let tenants = it.cli(&["tenants"]).await;
    assert!(tenants.contains("name: t1") && tenants.contains("lrs_username: u"), "{tenants}");
    let settings = it.cli(&["tenant-settings"]).await;
    assert!(settings.contains("param: welcome"), "{settings}");
    let adopted = async || {
        let doctor = it.product.setup().cli(&["doctor", "--json"]).await.unwrap();
        let found = String::from_utf8(doctor.stdout).unwrap();
        found.contains("6 of 6 migrations of the original, 4 recordings")
    };
    until("adopted", adopted).await.unwrap();
    let rows = |dump: &str| -> Vec<String> {
        dump.lines().filter(|line| line.starts_with("INSERT")).map(str::to_owned).collect()
    };
    let after = postgres.dump("scalelite", &["--inserts", "--schema=public"]).await.unwrap();
    assert_eq!(rows(&after), rows(&before), "no row of the original has changed");
}
