//! The started program while its servers die, hang, crawl and come back: a short run over each kind
//! of store. `cargo run --release -p testkit --bin chaos` runs longer ones.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::ensure;
    use testkit::chaos::{Plan, run};
    use testkit::stores::{Kind, Stores};

    /// Whether broken promises fail the test, or are only told.
    const STRICT: bool = true;

    async fn survived(kind: Kind, seed: u64) -> anyhow::Result<()> {
        let stores = Stores::start(kind).await?;
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
        let report = run(env!("CARGO_BIN_EXE_scalelite"), &stores, &plan).await?;
        println!("{report}");
        ensure!(report.disasters().is_empty(), "{:?}", report.disasters());
        let broken = report.broken_promises();
        ensure!(broken.is_empty() || !STRICT, "{broken:?}");
        Ok(())
    }

    /// Side by side, since these runs mostly wait.
    #[tokio::test(flavor = "multi_thread")]
    async fn on_each_store() {
        let (embedded, redis, postgres) = tokio::join!(
            survived(Kind::Embedded, 1),
            survived(Kind::RedisAndPostgres, 2),
            survived(Kind::Postgres, 3),
        );
        embedded.unwrap();
        redis.unwrap();
        postgres.unwrap();
    }
}
