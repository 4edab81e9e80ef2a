//! Tests of the reference of metrics, and of what is in `monitoring`: it names only metrics that exist, each alert has a section in
//! the documentation, and promtool accepts the rules and their tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use testkit::process;
use tokio::process::Command;

use crate::environment::setup;

fn project_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(project_dir().join(path)).with_context(|| path.to_owned())
}

/// The names of metrics that a text contains.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_word(c));
    let is_metric =
        |word: &&str| ["scalelite_", "process_"].iter().any(|start| word.starts_with(start));
    words.filter(is_metric).map(str::to_owned).collect()
}

/// The expressions of all panels of the dashboard.
fn dashboard_expressions() -> anyhow::Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read("monitoring/grafana-dashboard.json")?)?;
    let panels = dashboard["panels"].as_array().context("panels")?.iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expression = |target: &Value| target["expr"].as_str().map(str::to_owned);
    let expressions: Option<Vec<String>> = targets.map(expression).collect();
    let expressions = expressions.context("a target without an expression")?;
    ensure!(expressions.len() > 40, "{expressions:?}");
    Ok(expressions)
}

/// Runs promtool in a directory; returns what it says.
async fn run_promtool(arguments: &[&str], dir: &Path) -> anyhow::Result<String> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(dir).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("promtool, of the package prometheus")?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success() && !said.contains("FAILED"), "{arguments:?}: {said}");
    Ok(said)
}

async fn print_reference() -> anyhow::Result<String> {
    let output = process::run(&setup()?, &["config", "--metrics-reference"]).await?;
    ensure!((output.stderr.as_str(), output.exit_code) == ("", 0), "{output:?}");
    Ok(output.stdout)
}

#[tokio::test]
async fn the_reference_of_metrics_is_current() -> anyhow::Result<()> {
    let printed = print_reference().await?;
    assert!(read("docs/metrics.md")? == printed, "`just gen` writes docs/metrics.md anew");
    Ok(())
}

#[tokio::test]
async fn dashboard_and_alerts_name_metrics_that_exist() -> anyhow::Result<()> {
    let reference = print_reference().await?;
    let mut known = BTreeSet::new();
    for line in reference
        .lines()
        .filter(|line| line.starts_with("| `scalelite_") || line.starts_with("| `process_"))
    {
        let mut cells = line.split(" | ");
        let name = cells.next().context("a name")?.trim_start_matches("| ").trim_matches('`');
        if cells.next() == Some("histogram") {
            known.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
        }
        known.insert(name.to_owned());
    }
    assert!(known.len() > 60, "{known:?}");
    let dashboard: Value = serde_json::from_str(&read("monitoring/grafana-dashboard.json")?)?;
    let expressions = dashboard_expressions()?.join(" ") + &dashboard["templating"].to_string();
    let alerts = read("monitoring/alerts.yml")?;
    let operations = read("docs/operations.md")?;
    let section = operations.split("## Metrics and alerts").nth(1).context("a section")?;
    let section = section.split("\n## ").next().context("a section")?;
    for (file, text) in [
        ("the dashboard", expressions.as_str()),
        ("alerts.yml", &alerts),
        ("alerts-test.yml", &read("monitoring/alerts-test.yml")?),
        ("docs/operations.md", section),
    ] {
        let unknown: Vec<_> = metric_names(text).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    Ok(())
}

/// Grafana sets these for the moment and the choice of who looks.
const GRAFANA_VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "5m"), ("$server", ".*")];

#[tokio::test]
async fn promtool_can_read_each_expression_of_the_dashboard() -> anyhow::Result<()> {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in dashboard_expressions()?.into_iter().enumerate() {
        let expression = GRAFANA_VARIABLES
            .iter()
            .fold(expression, |text, (name, value)| text.replace(name, value));
        rules += &format!("      - record: expression_{number}\n        expr: '{expression}'\n");
    }
    let setup = setup()?;
    std::fs::write(setup.folder().join("rules.yml"), &rules)?;
    let said = run_promtool(&["check", "rules", "rules.yml"], setup.folder()).await;
    said.with_context(|| rules).map(drop)
}

#[test]
fn each_alert_has_a_section_and_a_test() -> anyhow::Result<()> {
    let (alerts, tests) = (read("monitoring/alerts.yml")?, read("monitoring/alerts-test.yml")?);
    let operations = read("docs/operations.md")?;
    let names: Vec<&str> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        assert!(operations.contains(&format!("\n#### {name}\n")), "{name} has no section");
        let link = format!("runbook_url: docs/operations.md#{}", name.to_lowercase());
        assert!(alerts.contains(&link), "{link}");
        assert!(tests.contains(&format!("alertname: {name}")), "{name} has no test");
    }
    let sections = operations.lines().filter_map(|line| line.strip_prefix("#### Scalelite"));
    assert_eq!(sections.count(), names.len(), "a section of an alert that does not exist");
    Ok(())
}

#[tokio::test]
async fn promtool_accepts_rules_tests_and_example() -> anyhow::Result<()> {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts-test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        run_promtool(&arguments, &project_dir().join("monitoring")).await?;
    }
    Ok(())
}
