//! Tests of `generate`: packages contain a man page of each command, and completions of three shells.

use testkit::process;

use crate::environment::setup;

#[tokio::test]
async fn man_pages_and_completions_are_made_from_the_commands() -> anyhow::Result<()> {
    let setup = setup()?;
    let dir = setup.folder().join("generated");
    let output = process::run(&setup, &["generate", &dir.display().to_string()]).await?;
    assert_eq!((output.exit_code, output.stderr.as_str()), (0, ""), "{output:?}");
    for (file, text) in [
        ("man/scalelite.1", "A load balancer for BigBlueButton"),
        ("man/scalelite-check.1", "performance data"),
        ("man/scalelite-servers-add.1", "Add"),
        ("completions/scalelite.bash", "readiness"),
        ("completions/_scalelite", "readiness"),
        ("completions/scalelite.fish", "readiness"),
    ] {
        let content = std::fs::read_to_string(dir.join(file))?;
        assert!(content.contains(text), "{file}");
    }
    // What is not meant for administrators has no page.
    assert!(!dir.join("man/scalelite-generate.1").exists());
    Ok(())
}
