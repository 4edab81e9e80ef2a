//! Plays the recorded conformance cases against the built binary, on each kind of store.

use testkit::conformance::{ConformanceOptions, run};
use testkit::stores::StoreKind;

/// Makes a test for each kind of store.
macro_rules! responses_match_recordings {
    ($($name:ident on $kind:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() -> anyhow::Result<()> {
                play_on(StoreKind::$kind).await
            }
        )*
    };
}

responses_match_recordings! {
    embedded on Embedded;
    redis_and_postgres on RedisAndPostgres;
    postgres_alone on Postgres;
}

async fn play_on(stores: StoreKind) -> anyhow::Result<()> {
    let options = ConformanceOptions::new(env!("CARGO_BIN_EXE_scalelite")).with_stores(stores);
    let report = run(&options).await?;
    println!("{report}");
    assert!(report.failed.is_empty(), "{} cases failed, see above", report.failed.len());
    assert!(report.passed > 0, "no case was played");
    Ok(())
}
