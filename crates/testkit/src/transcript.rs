//! Plays the recorded transcripts of the original's command line against a built binary.
//!
//! `data/transcripts` of this crate has the transcripts and a list of deliberate differences; its
//! README explains the format. Only the tasks whose output is recorded are played, each as
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
    let transcripts = transcript_file::load_transcripts(&data)?;
    ensure!(!transcripts.is_empty(), "no transcripts");
    differences.check_names(&transcripts)?;
    let played = transcripts
        .iter()
        .filter(|transcript| differences.skip_reason(&transcript.name, None).is_none())
        .map(|transcript| play_transcript(binary, &data, transcript, &differences));
    let mut report = CaseReport::default();
    for results in futures_util::future::try_join_all(played).await? {
        for (name, difference) in results {
            match difference {
                None => report.passed += 1,
                Some(diff) => report.failed.push(CaseFailure { name, diff }),
            }
        }
    }
    for transcript in &transcripts {
        if let Some(reason) = differences.skip_reason(&transcript.name, None) {
            report.skipped.push((transcript.name.clone(), reason.to_owned()));
        }
        let tasks = transcript.steps.iter().filter_map(|step| match step {
            TranscriptStep::Task(task) => Some(&task.name),
            TranscriptStep::Directive(_) => None,
        });
        for task in tasks {
            if let Some(reason) = differences.skip_reason(&transcript.name, Some(task)) {
                let name = format!("{} $ rake {task}", transcript.name);
                report.skipped.push((name, reason.to_owned()));
            }
        }
    }
    Ok(report)
}

/// Returns for each task its name and the difference, if there is any.
async fn play_transcript(
    binary: &str,
    data: &Path,
    transcript: &Transcript,
    differences: &TranscriptDifferences,
) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let mut environment = TranscriptEnvironment::start(binary, data).await?;
    let mut run_counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut results = Vec::new();
    for step in &transcript.steps {
        match step {
            TranscriptStep::Directive(directive) => {
                environment.run_directive(directive).await.with_context(|| directive.clone())?;
            }
            TranscriptStep::Task(task)
                if differences.skip_reason(&transcript.name, Some(&task.name)).is_some() => {}
            TranscriptStep::Task(task) => {
                let run = run_counts.entry(&task.name).or_default();
                *run += 1;
                let name = format!("{} $ rake {} ({run})", transcript.name, task.name);
                let result =
                    check_task(&mut environment, transcript, task, *run, differences).await;
                results.push((name, result.unwrap_or_else(|error| Some(format!("{error:#}")))));
            }
        }
    }
    Ok(results)
}

async fn check_task(
    environment: &mut TranscriptEnvironment,
    transcript: &Transcript,
    task: &RakeTask,
    run: usize,
    differences: &TranscriptDifferences,
) -> anyhow::Result<Option<String>> {
    let output = environment.run_task(task).await?;
    let expected = differences.expected_output(&transcript.name, task, run)?;
    Ok(compare::describe_difference(task, &expected, &output))
}

#[cfg(test)]
mod tests;
