//! The table of `migrate check`: what the original has, what this program makes of it, and what is to be done.

use crate::output::table::{Cell, render};
use crate::output::{print_line, print_text, printable};

/// What becomes of something of the original's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is taken over.
    Ok(String),
    /// Nothing is lost, and an administrator should know.
    Note(String),
    /// It would be lost, unless this is done.
    DoThis(String),
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the original has.
    pub theirs: String,
    /// What this program uses.
    pub ours: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

impl Row {
    /// Something that is taken over.
    pub fn ok(theirs: impl Into<String>, ours: impl Into<String>) -> Self {
        Self::new(theirs, ours, Outcome::Ok(String::new()))
    }

    /// Something that is taken over, with a remark.
    pub fn note(
        theirs: impl Into<String>,
        ours: impl Into<String>,
        remark: impl Into<String>,
    ) -> Self {
        Self::new(theirs, ours, Outcome::Note(remark.into()))
    }

    /// Something that would be lost.
    pub fn act(
        theirs: impl Into<String>,
        ours: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(theirs, ours, Outcome::DoThis(advice.into()))
    }

    fn new(theirs: impl Into<String>, ours: impl Into<String>, outcome: Outcome) -> Self {
        Self { theirs: theirs.into(), ours: ours.into(), outcome }
    }

    /// Whether something would be lost.
    pub fn is_loss(&self) -> bool {
        matches!(self.outcome, Outcome::DoThis(_))
    }
}

/// Prints the table and a summary.
pub fn print_table(rows: &[Row]) {
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let result = match &row.outcome {
                Outcome::Ok(text) if text.is_empty() => "ok".to_owned(),
                Outcome::Ok(text) => format!("ok: {text}"),
                Outcome::Note(text) => format!("ok, but: {text}"),
                Outcome::DoThis(text) => format!("DO THIS: {text}"),
            };
            [&row.theirs, &row.ours, &result].map(|text| Cell::text(printable(text))).to_vec()
        })
        .collect();
    print_text(render(&["THEIRS", "OURS", "RESULT"], &cells));
    print_line(match rows.iter().filter(|row| row.is_loss()).count() {
        0 => "Nothing would be lost.".to_owned(),
        1 => "1 thing would be lost: do what the table says, and check again.".to_owned(),
        count => format!("{count} things would be lost: do what the table says, and check again."),
    });
}

/// Prints the rows as JSON.
pub fn print_json(rows: &[Row]) {
    let to_json = |row: &Row| {
        let (result, text) = match &row.outcome {
            Outcome::Ok(text) => ("ok", text),
            Outcome::Note(text) => ("note", text),
            Outcome::DoThis(text) => ("do this", text),
        };
        serde_json::json!({ "theirs": row.theirs, "ours": row.ours, "result": result, "text": text })
    };
    print_line(serde_json::Value::from_iter(rows.iter().map(to_json)).to_string());
}
