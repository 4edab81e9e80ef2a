//! Plays recorded transcripts of the original's rake tasks and compares the output.

#[tokio::test(flavor = "multi_thread")]
async fn prints_as_recorded_or_as_listed_in_differences() {
    let report = testkit::transcript::run(env!("CARGO_BIN_EXE_scalelite")).await;
    let report = report.expect("the transcripts can be played");
    println!("{report}");
    assert!(report.failed.is_empty(), "{} tasks differ", report.failed.len());
    assert!(report.passed > 0, "nothing was played");
}
