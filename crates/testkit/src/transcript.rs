//! The recorded transcripts of the original's command line, played against a built binary.
//!
//! `data/transcripts` of this crate holds them, and the list of what deliberately differs; its
//! README explains the format. Only the tasks whose answers are recorded are played, each as
//! `scalelite rake TASK`, on a store of its own and with simulated servers.

mod compare;
mod differences;
mod mask;
mod script;
mod stage;

use crate::conformance::{Failure, Report};
use anyhow::{Context, ensure};
use differences::Differences;
use script::{Script, Step, Task};
use stage::Stage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Plays all transcripts of this crate.
pub async fn run(binary: &str) -> anyhow::Result<Report> {
    let data: PathBuf = [env!("CARGO_MANIFEST_DIR"), "data", "transcripts"].iter().collect();
    let differences = Differences::load(&data)?;
    let scripts = script::load(&data)?;
    ensure!(!scripts.is_empty(), "no transcripts");
    differences.check_names(&scripts)?;
    let played = scripts
        .iter()
        .filter(|script| differences.not_yet(&script.name, None).is_none())
        .map(|script| play(binary, &data, script, &differences));
    let mut report = Report::default();
    for verdicts in futures_util::future::try_join_all(played).await? {
        for (name, wrong) in verdicts {
            match wrong {
                None => report.passed += 1,
                Some(diff) => report.failed.push(Failure { name, diff }),
            }
        }
    }
    for script in &scripts {
        if let Some(reason) = differences.not_yet(&script.name, None) {
            report.skipped.push((script.name.clone(), reason.to_owned()));
        }
        let tasks = script.steps.iter().filter_map(|step| match step {
            Step::Task(task) => Some(&task.name),
            Step::Order(_) => None,
        });
        for task in tasks {
            if let Some(reason) = differences.not_yet(&script.name, Some(task)) {
                let name = format!("{} $ rake {task}", script.name);
                report.skipped.push((name, reason.to_owned()));
            }
        }
    }
    Ok(report)
}

/// For each task nothing, or what was wrong.
async fn play(
    binary: &str,
    data: &Path,
    script: &Script,
    differences: &Differences,
) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let mut stage = Stage::set(binary, data).await?;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut verdicts = Vec::new();
    for step in &script.steps {
        match step {
            Step::Order(order) => stage.obey(order).await.with_context(|| order.clone())?,
            Step::Task(task) if differences.not_yet(&script.name, Some(&task.name)).is_some() => {}
            Step::Task(task) => {
                let time = times.entry(&task.name).or_default();
                *time += 1;
                let name = format!("{} $ rake {} ({time})", script.name, task.name);
                let wrong = one(&mut stage, script, task, *time, differences).await;
                verdicts.push((name, wrong.unwrap_or_else(|error| Some(format!("{error:#}")))));
            }
        }
    }
    Ok(verdicts)
}

async fn one(
    stage: &mut Stage,
    script: &Script,
    task: &Task,
    time: usize,
    differences: &Differences,
) -> anyhow::Result<Option<String>> {
    let got = stage.run(task).await?;
    let expected = differences.apply(&script.name, task, time)?;
    Ok(compare::complaint(task, &expected, &got))
}

#[cfg(test)]
mod tests;
