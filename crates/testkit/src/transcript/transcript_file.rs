//! Reads transcripts: comments, directives to the environment, and tasks with their input and
//! output.

use anyhow::{Context, bail};
use std::path::Path;

/// A transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transcript {
    pub(super) name: String,
    pub(super) steps: Vec<TranscriptStep>,
}

impl Transcript {
    /// The number of runs of a task.
    pub(super) fn count_runs(&self, name: &str) -> usize {
        let is_run = |step: &&TranscriptStep| matches!(step, TranscriptStep::Task(task) if task.name == name);
        self.steps.iter().filter(is_run).count()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TranscriptStep {
    /// A change of the environment.
    Directive(String),
    /// A task with its input and output.
    Task(RakeTask),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RakeTask {
    /// The argument of rake, e.g. `servers:add[url,secret]`.
    pub(super) name: String,
    /// The standard input.
    pub(super) input: Option<String>,
    /// Standard output, then `(stderr) ` lines, then `(exit N)` unless it is 0.
    pub(super) output: Vec<String>,
}

/// Reads all transcripts of a folder, sorted by name.
pub(super) fn load_transcripts(folder: &Path) -> anyhow::Result<Vec<Transcript>> {
    let mut transcripts = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&path)?;
        let steps = parse_steps(&text).with_context(|| path.display().to_string())?;
        transcripts.push(Transcript { name: name.into_owned(), steps });
    }
    transcripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(transcripts)
}

pub(super) fn parse_steps(text: &str) -> anyhow::Result<Vec<TranscriptStep>> {
    let mut steps: Vec<TranscriptStep> = Vec::new();
    for line in text.lines() {
        if let Some(task) = line.strip_prefix("$ rake ") {
            steps.push(TranscriptStep::Task(RakeTask {
                name: task.trim_matches('\'').to_owned(),
                ..RakeTask::default()
            }));
        } else if let Some(directive) = line.strip_prefix("@ ") {
            steps.push(TranscriptStep::Directive(directive.to_owned()));
        } else if line.starts_with('#') {
        } else if let Some(TranscriptStep::Task(task)) = steps.last_mut() {
            match line.strip_prefix("(stdin) ") {
                Some(input) => task.input = Some(format!("{input}\n")),
                None => task.output.push(line.to_owned()),
            }
        } else if !line.is_empty() {
            bail!("not part of a task: {line}");
        }
    }
    let last = steps.len().saturating_sub(1);
    for (n, step) in steps.iter_mut().enumerate() {
        // A blank line separates a task from the next step.
        if let TranscriptStep::Task(task) = step
            && n < last
            && task.output.last().is_some_and(String::is_empty)
        {
            task.output.pop();
        }
    }
    Ok(steps)
}
