//! The recorded transcripts of the original's command line, played against a built binary.
//!
//! `data/transcripts` of this crate holds them, and the list of what deliberately differs; its
//! README explains the format. Only the tasks whose answers are recorded are played, each as
//! `scalelite rake TASK`, on a store of its own and with simulated servers.

mod compare;
mod differences;
mod environment;
mod mask;
mod transcript_file;

use crate::conformance::{CaseFailure, CaseReport};
use anyhow::{Context, ensure};
use differences::TranscriptDifferences;
use environment::TranscriptEnvironment;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use transcript_file::{RakeTask, Transcript, TranscriptStep};

/// Plays all transcripts of this crate.
pub async fn run(binary: &str) -> anyhow::Result<CaseReport> {
    let data: PathBuf = [env!("CARGO_MANIFEST_DIR"), "data", "transcripts"].iter().collect();
    let differences = TranscriptDifferences::load(&data)?;
    let scripts = transcript_file::load_transcripts(&data)?;
    ensure!(!scripts.is_empty(), "no transcripts");
    differences.check_names(&scripts)?;
    let played = scripts
        .iter()
        .filter(|script| differences.skip_reason(&script.name, None).is_none())
        .map(|script| play_transcript(binary, &data, script, &differences));
    let mut report = CaseReport::default();
    for verdicts in futures_util::future::try_join_all(played).await? {
        for (name, wrong) in verdicts {
            match wrong {
                None => report.passed += 1,
                Some(diff) => report.failed.push(CaseFailure { name, diff }),
            }
        }
    }
    for script in &scripts {
        if let Some(reason) = differences.skip_reason(&script.name, None) {
            report.skipped.push((script.name.clone(), reason.to_owned()));
        }
        let tasks = script.steps.iter().filter_map(|step| match step {
            TranscriptStep::Task(task) => Some(&task.name),
            TranscriptStep::Directive(_) => None,
        });
        for task in tasks {
            if let Some(reason) = differences.skip_reason(&script.name, Some(task)) {
                let name = format!("{} $ rake {task}", script.name);
                report.skipped.push((name, reason.to_owned()));
            }
        }
    }
    Ok(report)
}

/// For each task nothing, or what was wrong.
async fn play_transcript(
    binary: &str,
    data: &Path,
    script: &Transcript,
    differences: &TranscriptDifferences,
) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let mut stage = TranscriptEnvironment::start(binary, data).await?;
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    let mut verdicts = Vec::new();
    for step in &script.steps {
        match step {
            TranscriptStep::Directive(order) => {
                stage.run_directive(order).await.with_context(|| order.clone())?
            }
            TranscriptStep::Task(task)
                if differences.skip_reason(&script.name, Some(&task.name)).is_some() => {}
            TranscriptStep::Task(task) => {
                let time = times.entry(&task.name).or_default();
                *time += 1;
                let name = format!("{} $ rake {} ({time})", script.name, task.name);
                let wrong = check_task(&mut stage, script, task, *time, differences).await;
                verdicts.push((name, wrong.unwrap_or_else(|error| Some(format!("{error:#}")))));
            }
        }
    }
    Ok(verdicts)
}

async fn check_task(
    stage: &mut TranscriptEnvironment,
    script: &Transcript,
    task: &RakeTask,
    time: usize,
    differences: &TranscriptDifferences,
) -> anyhow::Result<Option<String>> {
    let got = stage.run_task(task).await?;
    let expected = differences.expected_output(&script.name, task, time)?;
    Ok(compare::describe_difference(task, &expected, &got))
}

#[cfg(test)]
mod tests;
