//! Short chaos runs on each kind of store: clients create and join meetings while servers crash,
//! hang, become slow and come back. `cargo run --release -p bench --bin chaos` makes longer runs.

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::ensure;
    use testkit::chaos::{ChaosPlan, run};
    use testkit::stores::{StoreKind, TestStores};

    async fn run_chaos(kind: StoreKind, seed: u64) -> anyhow::Result<()> {
        let stores = TestStores::start(kind).await?;
        let plan = ChaosPlan {
            servers: 20,
            min_healthy: 10,
            mean_faulty: 8.0,
            creates_per_s: 10.0,
            repeat_share: 0.1,
            joins_per_s: 30.0,
            duration: Duration::from_secs(13),
            seed,
            // Duplicate meetings are ended soon.
            settings: vec![("MEETING_GRACE".to_owned(), "2".to_owned())],
        };
        let report = run(env!("CARGO_BIN_EXE_scalelite"), &stores, &plan).await?;
        println!("{report}");
        ensure!(report.fatal_findings().is_empty(), "{:?}", report.fatal_findings());
        let unmet = report.unmet_requirements();
        ensure!(unmet.is_empty(), "{unmet:?}");
        Ok(())
    }

    /// The runs take place at the same time, since they mostly wait.
    #[tokio::test(flavor = "multi_thread")]
    async fn on_each_store() {
        let (embedded, redis, postgres) = tokio::join!(
            run_chaos(StoreKind::Embedded, 1),
            run_chaos(StoreKind::RedisAndPostgres, 2),
            run_chaos(StoreKind::Postgres, 3),
        );
        embedded.unwrap();
        redis.unwrap();
        postgres.unwrap();
    }
}
