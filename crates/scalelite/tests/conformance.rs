//! The recorded conformance cases against the built binary.

use testkit::conformance::{Options, run};
use testkit::stores::Kind;

/// One test for each kind of store.
macro_rules! answers_as_recorded_or_as_listed_in_differences {
    ($($name:ident on $kind:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                play_on(Kind::$kind).await;
            }
        )*
    };
}

answers_as_recorded_or_as_listed_in_differences! {
    embedded on Embedded;
}

async fn play_on(stores: Kind) {
    let options = Options::new(env!("CARGO_BIN_EXE_scalelite")).on(stores);
    let report = run(&options).await;
    let report = report.expect("the cases can be played");
    println!("{report}");
    assert!(report.failed.is_empty(), "{} cases failed, see above", report.failed.len());
    assert!(report.passed > 0, "nothing was played");
}
