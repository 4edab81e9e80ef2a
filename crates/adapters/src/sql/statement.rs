//! A statement that is put together from pieces. What callers wrote goes into its values, never into its text.

use super::connection::SqlValue;

/// A statement that grows.
#[derive(Default)]
pub(super) struct StatementBuilder<'a> {
    pub(super) sql: String,
    pub(super) values: Vec<SqlValue<'a>>,
}

impl<'a> StatementBuilder<'a> {
    pub(super) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// The mark of a value.
    pub(super) fn bind(&mut self, value: impl Into<SqlValue<'a>>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// Marks of several values. Their number is rounded up to a power of two by naming the last one again, so that
    /// there are few statements of different texts.
    pub(super) fn bind_all<T: Copy + Into<SqlValue<'a>>>(&mut self, values: &[T]) -> String {
        let last = values.last().copied();
        let missing = values.len().next_power_of_two() - values.len();
        let padding = last.into_iter().cycle().take(missing);
        let all: Vec<T> = values.iter().copied().chain(padding).collect();
        all.into_iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }
}
