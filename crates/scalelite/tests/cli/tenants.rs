//! Tests of `tenants` and `tenant-settings`. The transcripts test the original's tasks.

use anyhow::{Context, ensure};
use testkit::process::{self, CommandOutput};
use testkit::product::Setup;

use crate::environment::setup;

async fn run(setup: &Setup, command: &str) -> anyhow::Result<CommandOutput> {
    let arguments: Vec<&str> = command.split(' ').map(|word| word.trim_matches('\'')).collect();
    process::run(setup, &arguments).await
}

/// Runs a command that must succeed without messages, and returns its standard output.
async fn run_ok(setup: &Setup, command: &str) -> anyhow::Result<String> {
    let output = run(setup, command).await?;
    ensure!(output.exit_code == 0 && output.stderr.is_empty(), "{command}: {output:?}");
    Ok(output.stdout)
}

/// Runs a command that must fail, and returns its standard error output.
async fn run_failing(setup: &Setup, command: &str) -> anyhow::Result<String> {
    let output = run(setup, command).await?;
    ensure!(output.exit_code == 1, "{command}: {output:?}");
    Ok(output.stderr)
}

/// The id at the end of the output of `add`.
fn added_id(output: &str) -> anyhow::Result<String> {
    let (_, id) = output.trim_end().rsplit_once(' ').context("no id")?;
    Ok(id.to_owned())
}

#[tokio::test]
async fn tenants_are_added_changed_and_removed() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("MULTITENANCY_ENABLED", "true");
    setup.create_store().await?;
    assert_eq!(run_ok(&setup, "tenants").await?, "Total number of tenants: 0\n");
    let output = run_ok(&setup, "tenants add acme s1:s2").await?;
    let acme = added_id(&output)?;
    assert_eq!(output, format!("OK\nNew Tenant id: {acme}\n"));
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
async fn settings_are_added_and_removed_and_deleted_with_their_tenant() -> anyhow::Result<()> {
    let setup = setup()?.with_setting("MULTITENANCY_ENABLED", "true");
    setup.create_store().await?;
    let acme = added_id(&run_ok(&setup, "tenants add acme s1").await?)?;
    let output = run(&setup, "tenant-settings").await?;
    assert_eq!(output.stdout, "Tenant: acme\n");
    assert_eq!(output.stderr, "  No custom settings are configured\n");
    let record_id =
        added_id(&run_ok(&setup, &format!("tenant-settings add {acme} record true")).await?)?;
    let logo_id =
        added_id(&run_ok(&setup, &format!("tenant-settings add {acme} logo l --override")).await?)?;
    let listed = |id: &str, param: &str, value: &str, is_override: bool| {
        format!("  id: {id}\n\tparam: {param}\n\tvalue: {value}\n\toverride: {is_override}\n")
    };
    let record = listed(&record_id, "record", "true", false);
    let logo = listed(&logo_id, "logo", "l", true);
    let listed = run_ok(&setup, "tenant-settings list").await?;
    assert_eq!(listed, format!("Tenant: acme\n{record}{logo}"));
    let removed = run_ok(&setup, &format!("tenant-settings remove {record_id}")).await?;
    assert_eq!(removed, "TenantSetting was successfully deleted.\n");
    let unknown = format!("ERROR: No tenant setting found with id: {record_id}\n");
    assert_eq!(run_failing(&setup, &format!("tenant-settings remove {record_id}")).await?, unknown);
    let failure =
        run_failing(&setup, &format!("rake tenantSettings:add[{acme},a,b,perhaps]")).await?;
    assert_eq!(failure, "Error: override must be true or false\n");
    run_ok(&setup, &format!("tenants remove {acme}")).await?;
    assert_eq!(run_ok(&setup, "tenant-settings").await?, "");
    let gone = format!("ERROR: No tenant setting found with id: {logo_id}\n");
    assert_eq!(run_failing(&setup, &format!("tenant-settings remove {logo_id}")).await?, gone);
    Ok(())
}

#[tokio::test]
async fn without_multitenancy_commands_fail() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.create_store().await?;
    for command in ["tenants", "tenants add a b", "tenants remove a", "tenant-settings remove a"] {
        let disabled = "Multitenancy is disabled, task can not be completed\n";
        assert_eq!(run_failing(&setup, command).await?, disabled, "{command}");
    }
    Ok(())
}
