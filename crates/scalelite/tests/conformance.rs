//! The recorded conformance cases against the built binary.

use testkit::conformance::{Options, run};

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_recorded_or_as_listed_in_differences() {
    let report = run(&Options::new(env!("CARGO_BIN_EXE_scalelite"))).await;
    let report = report.expect("the cases can be played");
    println!("{report}");
    assert!(report.failed.is_empty(), "{} cases failed, see above", report.failed.len());
    assert!(report.passed > 0, "nothing was played");
}
