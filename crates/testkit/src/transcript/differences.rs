//! Deliberate differences: parts of recorded outputs, and the text that the product prints instead.

use super::transcript_file::{RakeTask, Transcript};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::path::Path;

/// All excused differences and skipped tasks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TranscriptDifferences {
    differences: Vec<TranscriptDifference>,
    not_yet: Vec<SkippedTask>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TranscriptDifference {
    transcript: String,
    task: String,
    /// Which of several runs of the task, from 1.
    #[serde(default = "first_run", rename = "time")]
    run: usize,
    #[expect(dead_code, reason = "for readers: a rule of the README")]
    rule: u8,
    #[expect(dead_code, reason = "for readers")]
    reason: String,
    changes: Vec<TextChange>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TextChange {
    recorded: String,
    ours: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SkippedTask {
    transcript: String,
    /// The skipped task; none if the whole transcript is skipped.
    task: Option<String>,
    reason: String,
}

fn first_run() -> usize {
    1
}

impl TranscriptDifferences {
    pub(super) fn load(folder: &Path) -> anyhow::Result<TranscriptDifferences> {
        let path = folder.join("differences.yaml");
        let text = std::fs::read_to_string(&path)?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    pub(super) fn parse(yaml: &str) -> anyhow::Result<TranscriptDifferences> {
        Ok(serde_saphyr::from_str(yaml)?)
    }

    /// Why a transcript or one of its tasks is not played; none if it is played.
    pub(super) fn skip_reason(&self, transcript: &str, task: Option<&str>) -> Option<&str> {
        let matches = |skipped: &&SkippedTask| {
            skipped.transcript == transcript && skipped.task.as_deref() == task
        };
        self.not_yet.iter().find(matches).map(|skipped| skipped.reason.as_str())
    }

    /// Checks that every entry names a transcript and a task that exist. Other entries excuse
    /// nothing and must be removed.
    pub(super) fn check_names(&self, transcripts: &[Transcript]) -> anyhow::Result<()> {
        for skipped in &self.not_yet {
            let mut named =
                transcripts.iter().filter(|transcript| transcript.name == skipped.transcript);
            let task = skipped.task.as_deref();
            let has_task =
                |transcript: &Transcript| task.is_none_or(|task| transcript.count_runs(task) > 0);
            let (name, task) = (&skipped.transcript, task.unwrap_or(""));
            ensure!(named.any(has_task), "there is no transcript {name} {task}");
        }
        for difference in &self.differences {
            let TranscriptDifference { transcript: name, task, run, .. } = difference;
            let named = transcripts.iter().filter(|transcript| transcript.name == *name);
            let runs: usize = named.map(|transcript| transcript.count_runs(task)).sum();
            if *run == 0 || *run > runs {
                bail!("{name} has no {task} ({run})");
            }
        }
        Ok(())
    }

    /// The expected output, line by line.
    pub(super) fn expected_output(
        &self,
        transcript: &str,
        task: &RakeTask,
        run: usize,
    ) -> anyhow::Result<Vec<String>> {
        let applies = |difference: &&TranscriptDifference| {
            difference.transcript == transcript
                && difference.task == task.name
                && difference.run == run
        };
        if task.output.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = task.output.join("\n");
        let differences = self.differences.iter().filter(applies);
        for change in differences.flat_map(|difference| &difference.changes) {
            let count = text.matches(&change.recorded).count();
            ensure!(count == 1, "recorded {count} times: {}", change.recorded);
            text = text.replace(&change.recorded, &change.ours);
        }
        Ok(text.split('\n').map(str::to_owned).collect())
    }
}
