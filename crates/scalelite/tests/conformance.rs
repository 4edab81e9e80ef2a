//! The recorded conformance cases against the built binary.

use anyhow::{Context, ensure};
use testkit::conformance::{Options, run};
use testkit::stores::Kind;

/// One test for each kind of store.
macro_rules! answers_as_recorded_or_as_listed_in_differences {
    ($($name:ident on $kind:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                play_on(Kind::$kind).await.unwrap();
            }
        )*
    };
}

answers_as_recorded_or_as_listed_in_differences! {
    embedded on Embedded;
}

async fn play_on(stores: Kind) -> anyhow::Result<()> {
    let options = Options::new(env!("CARGO_BIN_EXE_scalelite")).on(stores);
    let report = run(&options).await.context("the cases cannot be played")?;
    println!("{report}");
    ensure!(report.failed.is_empty(), "{} cases failed, see above", report.failed.len());
    ensure!(report.passed > 0, "nothing was played");
    Ok(())
}
