//! Compares the output of a task with the recorded one. The original's lists have the arbitrary
//! order of a Redis set, and the width of its table depends on the names of its hosts: neither is
//! compared.

use super::transcript_file::RakeTask;
use crate::conformance::diff::unified_diff;

/// The difference, if there is any.
pub(super) fn describe_difference(
    task: &RakeTask,
    expected: &[String],
    found: &[String],
) -> Option<String> {
    let normal = |lines: &[String]| match task.name.as_str() {
        "status" => lines.iter().map(|line| collapse_blanks(line)).collect(),
        _ => sort_items(lines),
    };
    let diff = unified_diff(&normal(expected), &normal(found));
    (!diff.is_empty()).then_some(diff)
}

fn collapse_blanks(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines, with adjacent list items sorted.
pub(super) fn sort_items(lines: &[String]) -> Vec<String> {
    let mut parts: Vec<OutputPart> = Vec::new();
    for line in lines {
        if begins_item(line) {
            let blank_line =
                parts.pop_if(|part| matches!(part, OutputPart::Line(line) if line.is_empty()));
            let blank = blank_line.map(|_| String::new());
            parts.push(OutputPart::Item(blank.into_iter().chain([line.clone()]).collect()));
        } else if let Some(OutputPart::Item(item)) = parts.last_mut()
            && continues_item(line)
        {
            item.push(line.clone());
        } else {
            parts.push(OutputPart::Line(line.clone()));
        }
    }
    for run in parts.chunk_by_mut(|a, b| a.is_item() && b.is_item()) {
        run.sort();
    }
    parts.into_iter().flat_map(OutputPart::lines).collect()
}

/// A part of an output, in the order in which parts are sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum OutputPart {
    Line(String),
    Item(Vec<String>),
}

impl OutputPart {
    fn is_item(&self) -> bool {
        matches!(self, OutputPart::Item(_))
    }

    fn lines(self) -> Vec<String> {
        match self {
            OutputPart::Line(line) => vec![line],
            OutputPart::Item(lines) => lines,
        }
    }
}

fn begins_item(line: &str) -> bool {
    const LABELS: [&str; 5] =
        ["id: ", "MeetingID: ", "Server ID: ", "Clearing Meeting id=", "Tenant: "];
    let yaml_key = line.strip_prefix("  ").is_some_and(|rest| {
        rest.ends_with(':') && rest.starts_with(|c: char| c.is_alphanumeric() || c == '<')
    });
    yaml_key || LABELS.iter().any(|label| line.starts_with(label))
}

fn continues_item(line: &str) -> bool {
    ["\t", "    ", "  id: ", "Server Url: ", "MeetingIDs: "]
        .iter()
        .any(|begin| line.starts_with(begin))
}
