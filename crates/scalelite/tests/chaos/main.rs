//! The started program while its servers die, hang, crawl and come back: a short run over each kind
//! of store. `cargo run --release -p testkit --bin chaos` runs longer ones.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use testkit::chaos::{Plan, run};
    use testkit::stores::{Kind, Stores};

    /// Whether broken promises fail the test, or are only told.
    const STRICT: bool = false;

    async fn survived(kind: Kind, seed: u64) {
        let stores = Stores::start(kind).await.unwrap();
        let plan = Plan {
            servers: 20,
            well: 10,
            troubled: 8.0,
            creates_per_s: 10.0,
            repeated: 0.1,
            joins_per_s: 30.0,
            length: Duration::from_secs(13),
            seed,
            // Meetings that live twice are settled soon.
            settings: vec![("MEETING_GRACE".to_owned(), "2".to_owned())],
        };
        let report = run(env!("CARGO_BIN_EXE_scalelite"), &stores, &plan).await.unwrap();
        println!("{report}");
        assert_eq!(report.disasters(), [] as [&str; 0]);
        if STRICT {
            assert_eq!(report.broken_promises(), [] as [&str; 0]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_the_embedded_store() {
        survived(Kind::Embedded, 1).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_redis() {
        survived(Kind::RedisAndPostgres, 2).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn on_postgresql() {
        survived(Kind::Postgres, 3).await;
    }
}
