//! `tenants` and `tenant-settings` in our own spelling; the original's is in the transcripts.

use anyhow::{Context, ensure};
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

use crate::environment::setup;

async fn run(setup: &Setup, command: &str) -> anyhow::Result<CommandOutput> {
    let arguments: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    process::run(setup, &arguments).await
}

/// What a command prints that has nothing to complain about.
async fn run_ok(setup: &Setup, command: &str) -> anyhow::Result<String> {
    let said = run(setup, command).await?;
    ensure!(said.exit_code == 0 && said.stderr.is_empty(), "{command}: {said:?}");
    Ok(said.stdout)
}

/// What a command complains about that fails.
async fn run_failing(setup: &Setup, command: &str) -> anyhow::Result<String> {
    let said = run(setup, command).await?;
    ensure!(said.exit_code == 1, "{command}: {said:?}");
    Ok(said.stderr)
}

/// The id at the end of what `add` says.
fn added_id(said: &str) -> anyhow::Result<String> {
    let (_, id) = said.trim_end().rsplit_once(' ').context("no id")?;
    Ok(id.to_owned())
}

#[tokio::test]
async fn tenants_are_added_changed_and_removed() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("MULTITENANCY_ENABLED", "true");
    assert_eq!(run_ok(&setup, "tenants").await?, "Total number of tenants: 0\n");
    let said = run_ok(&setup, "tenants add acme s1:s2").await?;
    let acme = added_id(&said)?;
    assert_eq!(said, format!("OK\nNew Tenant id: {acme}\n"));
    let taken = "ERROR: A tenant with name=ACME exists already\n";
    assert_eq!(run_failing(&setup, "tenants add ACME x").await?, taken);
    let incomplete = "Error: both name and secrets are required to create a Tenant\n";
    assert_eq!(run_failing(&setup, "tenants add beta ''").await?, incomplete);
    let updated = format!("OK\nUpdated Tenant id: {acme}\n");
    assert_eq!(run_ok(&setup, &format!("tenants update {acme} '' s3")).await?, updated);
    let lrs = "http://lrs http://kc client hidden user pass";
    assert_eq!(run_ok(&setup, &format!("tenants update-lrs-kc {acme} {lrs}")).await?, updated);
    let basic = format!("tenants update-lrs-basic {acme} http://other u p");
    assert_eq!(run_ok(&setup, &basic).await?, updated);
    let listed = format!(
        "id: {acme}\n\tname: acme\n\tsecrets: s3\n\tlrs_endpoint: http://other\n\tlrs_username: u\n\
         \tlrs_password: p\n\tkc_token_url: http://kc\n\tkc_client_id: client\n\
         \tkc_client_secret: hidden\n\tkc_username: user\n\tkc_password: pass\n\
         Total number of tenants: 1\n"
    );
    assert_eq!(run_ok(&setup, "tenants list").await?, listed);
    let unknown = "ERROR: No tenant found with id: none\n";
    for command in ["tenants update none x", "tenants remove none", "tenant-settings add none a b"]
    {
        assert_eq!(run_failing(&setup, command).await?, unknown, "{command}");
    }
    let deleted = "Tenant was successfully deleted.\n";
    assert_eq!(run_ok(&setup, &format!("tenants remove {acme}")).await?, deleted);
    assert_eq!(run_ok(&setup, "tenants").await?, "Total number of tenants: 0\n");
    Ok(())
}

#[tokio::test]
async fn settings_are_added_and_removed_and_go_with_their_tenant() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("MULTITENANCY_ENABLED", "true");
    let acme = added_id(&run_ok(&setup, "tenants add acme s1").await?)?;
    let said = run(&setup, "tenant-settings").await?;
    assert_eq!(said.stdout, "Tenant: acme\n");
    assert_eq!(said.stderr, "  No custom settings are configured\n");
    let one = added_id(&run_ok(&setup, &format!("tenant-settings add {acme} record true")).await?)?;
    let two =
        added_id(&run_ok(&setup, &format!("tenant-settings add {acme} logo l --override")).await?)?;
    let of = |id: &str, param: &str, value: &str, wins: bool| {
        format!("  id: {id}\n\tparam: {param}\n\tvalue: {value}\n\toverride: {wins}\n")
    };
    let (record, logo) = (of(&one, "record", "true", false), of(&two, "logo", "l", true));
    let listed = run_ok(&setup, "tenant-settings list").await?;
    assert_eq!(listed, format!("Tenant: acme\n{record}{logo}"));
    let removed = run_ok(&setup, &format!("tenant-settings remove {one}")).await?;
    assert_eq!(removed, "TenantSetting was successfully deleted.\n");
    let unknown = format!("ERROR: No tenant setting found with id: {one}\n");
    assert_eq!(run_failing(&setup, &format!("tenant-settings remove {one}")).await?, unknown);
    let bad = run_failing(&setup, &format!("rake tenantSettings:add[{acme},a,b,perhaps]")).await?;
    assert_eq!(bad, "Error: override must be true or false\n");
    run_ok(&setup, &format!("tenants remove {acme}")).await?;
    assert_eq!(run_ok(&setup, "tenant-settings").await?, "");
    let gone = format!("ERROR: No tenant setting found with id: {two}\n");
    assert_eq!(run_failing(&setup, &format!("tenant-settings remove {two}")).await?, gone);
    Ok(())
}

#[tokio::test]
async fn without_multitenancy_there_is_nothing_to_do() -> anyhow::Result<()> {
    let setup = setup()?;
    for command in ["tenants", "tenants add a b", "tenants remove a", "tenant-settings remove a"] {
        let disabled = "Multitenancy is disabled, task can not be completed\n";
        assert_eq!(run_failing(&setup, command).await?, disabled, "{command}");
    }
    Ok(())
}
