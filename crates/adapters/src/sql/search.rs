//! Searches in recordings. Statements are built from pieces of this file; texts of callers are
//! parameters.
//!
//! A search finds the keys of rows. The parts of these recordings are read afterwards, so that a
//! condition on metadata does not limit the metadata that is returned. A search has one of two
//! plans. If one of the conditions on metadata is known to hold for few recordings, these are found
//! by the index of keys and values, and sorted ([`SearchPlan::IndexLookup`]). Otherwise recordings
//! are scanned in the order of their start times, each is tested, and the scan ends with the page
//! ([`SearchPlan::Scan`]).

use app::ports::{RecordingCursor, StoreError};
use domain::recording::catalog::{RecordingFilter, RecordingStates, TenantScope};

use super::connection::SqlConnection;
use super::metadata_conditions::{MetadataCondition, is_storable};
use super::statement::{StatementBuilder, rounded_up};

/// The maximum number of recordings that are found by the index and sorted to get one page.
const MAX_GATHERED: i64 = 2_000;

/// A filter and a scope, prepared for building statements.
pub(super) struct SqlSearch<'a> {
    /// Ranges of record ids: from the first, up to and without the second. `None` for any id.
    id_ranges: Option<Vec<(&'a str, String)>>,
    meeting_ids: Option<Vec<&'a str>>,
    states: &'a RecordingStates,
    metadata: Vec<MetadataCondition<'a>>,
}

/// How recordings that meet the conditions on metadata are found.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum SearchPlan {
    /// By the index, with the condition of this number.
    IndexLookup(usize),
    /// By testing one recording after the other.
    Scan,
}

/// The two groups in the order of results: recordings with a start time, then recordings without
/// one.
#[derive(Clone, Copy, PartialEq)]
enum TimeGroup {
    Timed,
    Untimed,
}

/// Returns a text that sorts after all texts with this prefix. For a prefix that consists of the
/// last Unicode character only, the result sorts after all existing ids.
fn prefix_upper_bound(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Surrogates are no characters: the next one after U+D7FF is U+E000.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return chars.into_iter().collect();
        }
    }
    char::MAX.to_string().repeat(200)
}

impl<'a> SqlSearch<'a> {
    pub(super) fn new(filter: &'a RecordingFilter, scope: &'a TenantScope) -> Self {
        let if_given = |texts: &'a [String]| {
            let storable = || texts.iter().map(String::as_str).filter(|text| is_storable(text));
            (!texts.is_empty()).then(|| storable().collect::<Vec<&str>>())
        };
        let prefixes = if_given(&filter.record_ids);
        let meeting_ids = if prefixes.is_some() { None } else { if_given(&filter.meeting_ids) };
        let metadata =
            filter.metadata.iter().map(|(key, values)| MetadataCondition::new(key, values));
        let to_range = |prefix: &'a str| (prefix, prefix_upper_bound(prefix));
        Self {
            id_ranges: prefixes.map(|prefixes| prefixes.into_iter().map(to_range).collect()),
            meeting_ids,
            states: &filter.states,
            metadata: MetadataCondition::for_scope(scope).into_iter().chain(metadata).collect(),
        }
    }

    /// Chooses the plan for pages of this search.
    pub(super) fn choose_plan(
        &self,
        connection: &mut dyn SqlConnection,
    ) -> Result<SearchPlan, StoreError> {
        if self.id_ranges.is_some() || self.meeting_ids.is_some() {
            return Ok(SearchPlan::Scan);
        }
        let mut fewest = (MAX_GATHERED + 1, SearchPlan::Scan);
        let exact = self.metadata.iter().enumerate().filter(|(_, condition)| condition.is_exact());
        for (index, condition) in exact {
            let mut statement = StatementBuilder::default();
            statement.push("SELECT count(*) FROM (SELECT 1 AS found FROM metadata m WHERE ");
            condition.push_indexed(&mut statement);
            let limit = statement.bind(fewest.0);
            statement.push(&format!(" LIMIT {limit}) AS rows_found"));
            let count = query_number(connection, &statement)?;
            if count < fewest.0 {
                fewest = (count, SearchPlan::IndexLookup(index));
            }
        }
        Ok(fewest.1)
    }

    /// Counts the recordings of this search.
    pub(super) fn count(&self, connection: &mut dyn SqlConnection) -> Result<i64, StoreError> {
        // A count needs all rows, so the index is faster in any case.
        let exact = self.metadata.iter().position(MetadataCondition::is_exact);
        let plan = exact.map_or(SearchPlan::Scan, SearchPlan::IndexLookup);
        let build_count = |extra: &str| {
            let mut statement = StatementBuilder::default();
            statement.push("SELECT count(*) FROM recordings r WHERE ");
            let state = self.state_condition(&mut statement, "r.state");
            statement.push(&state);
            self.push_conditions(&mut statement, plan);
            statement.push(extra);
            statement
        };
        let all = query_number(connection, &build_count(""))?;
        // Rows without a record id are no recordings. They are subtracted, so that the count of all
        // rows needs only an index.
        let count_nameless = "SELECT count(*) FROM recordings r WHERE r.record_id IS NULL";
        let nameless: Option<i64> =
            connection.query_first(count_nameless, &[], |row| row.get(0))?;
        match nameless {
            None | Some(0) => Ok(all),
            Some(_) => {
                Ok(all - query_number(connection, &build_count(" AND r.record_id IS NULL"))?)
            }
        }
    }

    /// Whether the results of this search can be counted quickly.
    pub(super) fn is_narrow(&self) -> bool {
        self.id_ranges.is_some() || self.meeting_ids.is_some()
    }

    /// Returns the keys of a page, which begins after a cursor or at an offset.
    pub(super) fn find_keys(
        &self,
        connection: &mut dyn SqlConnection,
        plan: SearchPlan,
        after: Option<&RecordingCursor>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let is_untimed = after.is_some_and(|cursor| cursor.started_at.is_none());
        let mut keys = Vec::new();
        if !is_untimed {
            keys =
                self.find_group_keys(connection, plan, TimeGroup::Timed, after, (offset, limit))?;
        }
        let found = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        if found < limit {
            let skipped =
                if found == 0 && offset > 0 { self.count_timed(connection, plan)? } else { offset };
            let (after, offset) = (after.filter(|_| is_untimed), (offset - skipped).max(0));
            keys.extend(self.find_group_keys(
                connection,
                plan,
                TimeGroup::Untimed,
                after,
                (offset, limit - found),
            )?);
        }
        Ok(keys)
    }

    fn count_timed(
        &self,
        connection: &mut dyn SqlConnection,
        plan: SearchPlan,
    ) -> Result<i64, StoreError> {
        let mut statement = StatementBuilder::default();
        statement.push("SELECT count(*) FROM recordings r WHERE ");
        self.push_page_conditions(&mut statement, plan);
        statement.push(" AND r.starttime IS NOT NULL AND r.record_id IS NOT NULL");
        query_number(connection, &statement)
    }

    fn find_group_keys(
        &self,
        connection: &mut dyn SqlConnection,
        plan: SearchPlan,
        group: TimeGroup,
        after: Option<&RecordingCursor>,
        (offset, limit): (i64, i64),
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement = StatementBuilder::default();
        statement.push("SELECT r.id FROM recordings r WHERE ");
        self.push_page_conditions(&mut statement, plan);
        statement.push(" AND r.record_id IS NOT NULL AND r.starttime IS");
        statement.push(if group == TimeGroup::Timed { " NOT NULL" } else { " NULL" });
        if let Some(cursor) = after {
            let id = statement.bind(cursor.record_id.as_str());
            let has_greater_id = format!("r.record_id COLLATE BINARY > {id}");
            match cursor.started_at {
                Some(started_at) => {
                    let time = statement.bind(started_at);
                    statement.push(&format!(
                        " AND r.starttime <= {time} AND (r.starttime < {time} OR {has_greater_id})"
                    ));
                }
                None => statement.push(&format!(" AND {has_greater_id}")),
            }
        }
        statement.push(match group {
            TimeGroup::Timed => " ORDER BY r.starttime DESC, r.record_id COLLATE BINARY",
            TimeGroup::Untimed => " ORDER BY r.record_id COLLATE BINARY",
        });
        let limit = statement.bind(limit);
        statement.push(&format!(" LIMIT {limit}"));
        if offset > 0 {
            let offset = statement.bind(offset);
            statement.push(&format!(" OFFSET {offset}"));
        }
        connection.query(&statement.sql, &statement.values, |row| row.get(0))
    }

    /// Appends the conditions of a page. Nearly all recordings have one of the usual states, so the
    /// index of states is useless for pages: `coalesce` hides it from the query planner.
    fn push_page_conditions<'s>(&'s self, statement: &mut StatementBuilder<'s>, plan: SearchPlan) {
        let state = self.state_condition(statement, "coalesce(r.state, '')");
        statement.push(&state);
        self.push_conditions(statement, plan);
    }

    fn push_conditions<'s>(&'s self, statement: &mut StatementBuilder<'s>, plan: SearchPlan) {
        if let Some(ranges) = &self.id_ranges {
            statement.push(" AND ");
            push_id_ranges(statement, ranges);
        }
        if let Some(ids) = &self.meeting_ids {
            let parameters = statement.bind_all(ids);
            statement.push(&if ids.is_empty() {
                " AND FALSE".to_owned()
            } else {
                format!(" AND r.meeting_id IN ({parameters})")
            });
        }
        for (index, condition) in self.metadata.iter().enumerate() {
            if plan == SearchPlan::IndexLookup(index) {
                statement.push(" AND r.id IN (SELECT m.recording_id FROM metadata m WHERE ");
                condition.push_indexed(statement);
            } else {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM metadata m WHERE m.recording_id = r.id AND ");
                condition.push_for_recording(statement);
            }
            statement.push(")");
        }
    }

    fn state_condition<'s>(&'s self, statement: &mut StatementBuilder<'s>, column: &str) -> String {
        let states: Vec<&str> = match self.states {
            RecordingStates::Usual => return format!("{column} IN ('published', 'unpublished')"),
            RecordingStates::Any => return "coalesce(r.state, '') <> 'deleted'".to_owned(),
            // No list matches a recording without a state, not even one with an empty name.
            RecordingStates::Listed(states) => states.iter().map(String::as_str).collect(),
        };
        let states: Vec<&str> =
            states.into_iter().filter(|state| is_storable(state) && !state.is_empty()).collect();
        if states.is_empty() {
            return "FALSE".to_owned();
        }
        format!("{column} IN ({})", statement.bind_all(&states))
    }
}

fn query_number(
    connection: &mut dyn SqlConnection,
    statement: &StatementBuilder<'_>,
) -> Result<i64, StoreError> {
    let found = connection.query_first(&statement.sql, &statement.values, |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Appends the condition that the record id is in one of these ranges.
fn push_id_ranges<'a>(statement: &mut StatementBuilder<'a>, ranges: &'a [(&'a str, String)]) {
    match ranges {
        [] => statement.push("FALSE"),
        [(from, to)] => {
            let (from, to) = (statement.bind(*from), statement.bind(to));
            statement.push(&format!(
                "r.record_id COLLATE BINARY >= {from} AND r.record_id COLLATE BINARY < {to}"
            ));
        }
        [.., last] => {
            // A join, since there may be thousands of ranges. Their number is rounded up, so that
            // there are few statements of different texts.
            let missing = rounded_up(ranges.len()) - ranges.len();
            let padded = ranges.iter().chain(std::iter::repeat_n(last, missing));
            let rows: Vec<String> = padded
                .map(|(from, to)| {
                    let (from, to) = (statement.bind(*from), statement.bind(to));
                    format!("({from}, {to})")
                })
                .collect();
            statement.push(&format!(
                "r.id IN (SELECT x.id FROM (VALUES {}) AS w CROSS JOIN recordings x \
                 WHERE x.record_id COLLATE BINARY >= w.column1 \
                 AND x.record_id COLLATE BINARY < w.column2)",
                rows.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_bound_of_a_prefix_follows_all_that_begin_with_it() {
        for prefix in ["a", "a-", "ab~", "ä", "\u{d7ff}", "x\u{10ffff}", "a\u{10ffff}\u{10ffff}"] {
            let bound = prefix_upper_bound(prefix);
            assert!(format!("{prefix}\u{10ffff}zz").as_bytes() < bound.as_bytes(), "{prefix:?}");
            assert!(prefix.as_bytes() < bound.as_bytes());
        }
        assert_eq!(
            (prefix_upper_bound("a").as_str(), prefix_upper_bound("a\u{10ffff}").as_str()),
            ("b", "b")
        );
        assert!(prefix_upper_bound("\u{10ffff}").starts_with('\u{10ffff}'));
    }
}
