//! What ours says differently, on purpose: parts of recorded answers, and what stands there instead.

use super::transcript_file::{RakeTask, Transcript};
use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::path::Path;

/// All that is excused. Nothing else is.
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
    #[serde(default = "first_run")]
    time: usize,
    #[expect(dead_code, reason = "for people: a rule of the README")]
    rule: u8,
    #[expect(dead_code, reason = "for people")]
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
    /// Only this task of it.
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

    /// Why a transcript, or one task of it, is not played.
    pub(super) fn skip_reason(&self, transcript: &str, task: Option<&str>) -> Option<&str> {
        let is_it =
            |one: &&SkippedTask| one.transcript == transcript && one.task.as_deref() == task;
        self.not_yet.iter().find(is_it).map(|one| one.reason.as_str())
    }

    /// An entry for something that does not exist excuses nothing and has to go.
    pub(super) fn check_names(&self, scripts: &[Transcript]) -> anyhow::Result<()> {
        for one in &self.not_yet {
            let mut named = scripts.iter().filter(|script| script.name == one.transcript);
            let task = one.task.as_deref();
            let known = named.any(|script| task.is_none_or(|task| script.count_runs(task) > 0));
            ensure!(known, "no transcript is called {} {}", one.transcript, task.unwrap_or(""));
        }
        for one in &self.differences {
            let named = scripts.iter().filter(|script| script.name == one.transcript);
            let times: usize = named.map(|script| script.count_runs(&one.task)).sum();
            if one.time == 0 || one.time > times {
                bail!("{} has no {} ({})", one.transcript, one.task, one.time);
            }
        }
        Ok(())
    }

    /// What ours has to say, line by line.
    pub(super) fn expected_output(
        &self,
        transcript: &str,
        task: &RakeTask,
        time: usize,
    ) -> anyhow::Result<Vec<String>> {
        let here = |one: &&TranscriptDifference| {
            one.transcript == transcript && one.task == task.name && one.time == time
        };
        if task.output.is_empty() {
            return Ok(Vec::new());
        }
        let mut text = task.output.join("\n");
        for change in self.differences.iter().filter(here).flat_map(|one| &one.changes) {
            let times = text.matches(&change.recorded).count();
            ensure!(times == 1, "recorded {times} times: {}", change.recorded);
            text = text.replace(&change.recorded, &change.ours);
        }
        Ok(text.split('\n').map(str::to_owned).collect())
    }
}
