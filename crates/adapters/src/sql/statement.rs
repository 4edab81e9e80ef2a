//! Builds a statement from pieces. Texts of callers become parameters and never part of the
//! statement.

use super::connection::SqlValue;

/// From here on numbers of parameters are rounded up to multiples of this number: SQLite takes
/// 32,766 parameters.
const LARGE_STEP: usize = 2048;

/// Rounds a number of parameters up to the next power of two, or multiple of [`LARGE_STEP`].
pub(super) fn rounded_up(number: usize) -> usize {
    match number {
        0..=LARGE_STEP => number.next_power_of_two(),
        _ => number.next_multiple_of(LARGE_STEP),
    }
}

/// A statement and its parameters.
#[derive(Default)]
pub(super) struct StatementBuilder<'a> {
    pub(super) sql: String,
    pub(super) values: Vec<SqlValue<'a>>,
}

impl<'a> StatementBuilder<'a> {
    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds a parameter and returns its placeholder.
    pub(super) fn bind(&mut self, value: impl Into<SqlValue<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// Adds several parameters and returns their placeholders. Their number is rounded up by
    /// repeating the last one, so that there are few statements of different texts.
    pub(super) fn bind_all<T: Copy + Into<SqlValue<'a>>>(&mut self, values: &[T]) -> String {
        let last = values.last().copied();
        let missing = rounded_up(values.len()) - values.len();
        let padding = last.into_iter().cycle().take(missing);
        let padded: Vec<T> = values.iter().copied().chain(padding).collect();
        padded.into_iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }
}
