//! Searches in recordings: which ones, how many, and in which order. Statements are put together from pieces
//! of this file and hold no text of a caller's, only marks for it.
//!
//! A search finds the keys of rows; what belongs to these is read afterwards, so that no condition on metadata
//! ever limits the metadata that is shown. Conditions on metadata are written in one of two ways. Where one of
//! them is known to hold for few recordings, these are *gathered* by the index of keys and values, and put in order.
//! Otherwise recordings are *walked* in the order of their beginnings, each is looked at, and the walk ends with
//! the page.

use app::ports::{RecordingCursor, StoreError};
use domain::recording::catalog::{
    MetadataMatch, RecordingFilter, RecordingStates, TENANT_KEY, TenantScope,
};

use super::connection::SqlConnection;
use super::statement::StatementBuilder;

/// More recordings than this are not gathered and put in order for the sake of one page.
const MAX_GATHERED: i64 = 2_000;

/// What is wanted, as the database needs it.
pub(super) struct SqlSearch<'a> {
    /// Ranges of record ids; any id if there are none.
    id_ranges: Option<Vec<(&'a str, String)>>,
    meeting_ids: Option<Vec<&'a str>>,
    states: &'a RecordingStates,
    metadata: Vec<MetadataCondition<'a>>,
}

/// A key and the values of which it must have one.
struct MetadataCondition<'a> {
    key: &'a str,
    values: Vec<ValueMatch<'a>>,
}

/// What a value must be, or have.
#[derive(Clone, Copy)]
enum ValueMatch<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Substring(&'a str),
}

impl<'a> From<&'a MetadataMatch> for ValueMatch<'a> {
    fn from(wanted: &'a MetadataMatch) -> Self {
        match wanted {
            MetadataMatch::Exact(text) => Self::Exact(text),
            MetadataMatch::Prefix(text) => Self::Prefix(text),
            MetadataMatch::Suffix(text) => Self::Suffix(text),
            MetadataMatch::Substring(text) => Self::Substring(text),
        }
    }
}

impl<'a> ValueMatch<'a> {
    fn text(self) -> &'a str {
        let (Self::Exact(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Substring(text)) =
            self;
        text
    }
}

impl MetadataCondition<'_> {
    /// Whether the index of keys and values finds what it holds for.
    fn is_exact(&self) -> bool {
        let exact =
            |one: &ValueMatch<'_>| matches!(one, ValueMatch::Exact(text) if !text.is_empty());
        self.values.iter().all(exact)
    }
}

/// How conditions on metadata are put.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum SearchPlan {
    /// By this one first.
    IndexLookup(usize),
    /// Recording by recording.
    Scan,
}

/// Recordings that have a beginning, and then those that have none.
#[derive(Clone, Copy, PartialEq)]
enum TimeGroup {
    Timed,
    Untimed,
}

/// No text that is stored holds NUL, and PostgreSQL does not even compare with it.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A text behind all that begin with a prefix. (A prefix of nothing but the last of all characters gets one that
/// is behind all ids there are.)
fn prefix_upper_bound(prefix: &str) -> String {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The successor of the last one before the surrogates is the first one after them.
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
        let some = |texts: &'a [String]| {
            let storable = || texts.iter().map(String::as_str).filter(|text| is_storable(text));
            (!texts.is_empty()).then(|| storable().collect::<Vec<&str>>())
        };
        let ranges = some(&filter.record_ids);
        let meeting_ids = if ranges.is_some() { None } else { some(&filter.meeting_ids) };
        let metadata = filter.metadata.iter().map(|(key, wanted)| MetadataCondition {
            key,
            values: wanted
                .iter()
                .map(ValueMatch::from)
                .filter(|one| is_storable(one.text()))
                .collect(),
        });
        Self {
            id_ranges: ranges
                .map(|ids| ids.into_iter().map(|id| (id, prefix_upper_bound(id))).collect()),
            meeting_ids,
            states: &filter.states,
            metadata: tenant_condition(scope).into_iter().chain(metadata).collect(),
        }
    }

    /// How its pages are found.
    pub(super) fn choose_plan(
        &self,
        session: &mut dyn SqlConnection,
    ) -> Result<SearchPlan, StoreError> {
        if self.id_ranges.is_some() || self.meeting_ids.is_some() {
            return Ok(SearchPlan::Scan);
        }
        let mut fewest = (MAX_GATHERED + 1, SearchPlan::Scan);
        for (at, condition) in self.metadata.iter().enumerate().filter(|(_, one)| one.is_exact()) {
            let mut statement = StatementBuilder::default();
            statement.push("SELECT count(*) FROM (SELECT 1 AS one FROM metadata m WHERE ");
            push_indexed_condition(&mut statement, condition);
            let limit = statement.bind(fewest.0);
            statement.push(&format!(" LIMIT {limit}) AS found"));
            let count = query_number(session, &statement)?;
            if count < fewest.0 {
                fewest = (count, SearchPlan::IndexLookup(at));
            }
        }
        Ok(fewest.1)
    }

    /// How many recordings there are.
    pub(super) fn count(&self, session: &mut dyn SqlConnection) -> Result<i64, StoreError> {
        // To count them all, gathering is quicker in any case.
        let exact = self.metadata.iter().position(MetadataCondition::is_exact);
        let way = exact.map_or(SearchPlan::Scan, SearchPlan::IndexLookup);
        let counted = |extra: &str| {
            let mut statement = StatementBuilder::default();
            statement.push("SELECT count(*) FROM recordings r WHERE ");
            let state = self.state_condition(&mut statement, "r.state");
            statement.push(&state);
            self.push_conditions(&mut statement, way);
            statement.push(extra);
            statement
        };
        let all = query_number(session, &counted(""))?;
        // Those without an id are no recordings. Counted apart, so that the others are by an index alone.
        let any = "SELECT count(*) FROM recordings r WHERE r.record_id IS NULL";
        let nameless: Option<i64> = session.query_first(any, &[], |row| row.get(0))?;
        match nameless {
            None | Some(0) => Ok(all),
            Some(_) => Ok(all - query_number(session, &counted(" AND r.record_id IS NULL"))?),
        }
    }

    /// Whether it is quick to count what is found.
    pub(super) fn is_narrow(&self) -> bool {
        self.id_ranges.is_some() || self.meeting_ids.is_some()
    }

    /// The keys of a page: after a place or from a number on.
    pub(super) fn find_keys(
        &self,
        session: &mut dyn SqlConnection,
        way: SearchPlan,
        after: Option<&RecordingCursor>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let is_untimed = after.is_some_and(|cursor| cursor.started_at.is_none());
        let mut keys = Vec::new();
        if !is_untimed {
            keys = self.find_group_keys(session, way, TimeGroup::Timed, after, (offset, limit))?;
        }
        let found = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        if found < limit {
            let passed =
                if found == 0 && offset > 0 { self.count_timed(session, way)? } else { offset };
            let (after, rest) = (after.filter(|_| is_untimed), (offset - passed).max(0));
            keys.extend(self.find_group_keys(
                session,
                way,
                TimeGroup::Untimed,
                after,
                (rest, limit - found),
            )?);
        }
        Ok(keys)
    }

    fn count_timed(
        &self,
        session: &mut dyn SqlConnection,
        way: SearchPlan,
    ) -> Result<i64, StoreError> {
        let mut statement = StatementBuilder::default();
        statement.push("SELECT count(*) FROM recordings r WHERE ");
        self.push_page_conditions(&mut statement, way);
        statement.push(" AND r.starttime IS NOT NULL AND r.record_id IS NOT NULL");
        query_number(session, &statement)
    }

    fn find_group_keys(
        &self,
        session: &mut dyn SqlConnection,
        way: SearchPlan,
        part: TimeGroup,
        after: Option<&RecordingCursor>,
        (offset, limit): (i64, i64),
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement = StatementBuilder::default();
        statement.push("SELECT r.id FROM recordings r WHERE ");
        self.push_page_conditions(&mut statement, way);
        statement.push(" AND r.record_id IS NOT NULL AND r.starttime IS");
        statement.push(if part == TimeGroup::Timed { " NOT NULL" } else { " NULL" });
        if let Some(cursor) = after {
            let id = statement.bind(cursor.record_id.as_str());
            let behind = format!("r.record_id COLLATE BINARY > {id}");
            match cursor.started_at {
                Some(at) => {
                    let at = statement.bind(at);
                    statement.push(&format!(
                        " AND r.starttime <= {at} AND (r.starttime < {at} OR {behind})"
                    ));
                }
                None => statement.push(&format!(" AND {behind}")),
            }
        }
        statement.push(match part {
            TimeGroup::Timed => " ORDER BY r.starttime DESC, r.record_id COLLATE BINARY",
            TimeGroup::Untimed => " ORDER BY r.record_id COLLATE BINARY",
        });
        let limit = statement.bind(limit);
        statement.push(&format!(" LIMIT {limit}"));
        if offset > 0 {
            let offset = statement.bind(offset);
            statement.push(&format!(" OFFSET {offset}"));
        }
        session.query(&statement.sql, &statement.values, |row| row.get(0))
    }

    /// Conditions of pages. Nearly all recordings are in the states that are wanted: the index of states is
    /// never the way to a page, and hidden from planners here.
    fn push_page_conditions<'s>(&'s self, statement: &mut StatementBuilder<'s>, way: SearchPlan) {
        let state = self.state_condition(statement, "coalesce(r.state, '')");
        statement.push(&state);
        self.push_conditions(statement, way);
    }

    fn push_conditions<'s>(&'s self, statement: &mut StatementBuilder<'s>, way: SearchPlan) {
        if let Some(ranges) = &self.id_ranges {
            statement.push(" AND ");
            push_id_ranges(statement, ranges);
        }
        if let Some(ids) = &self.meeting_ids {
            let marks = statement.bind_all(ids);
            statement.push(&if ids.is_empty() {
                " AND FALSE".to_owned()
            } else {
                format!(" AND r.meeting_id IN ({marks})")
            });
        }
        for (at, condition) in self.metadata.iter().enumerate() {
            if way == SearchPlan::IndexLookup(at) {
                statement.push(" AND r.id IN (SELECT m.recording_id FROM metadata m WHERE ");
                push_indexed_condition(statement, condition);
            } else {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM metadata m WHERE m.recording_id = r.id AND ");
                push_row_condition(statement, condition);
            }
            statement.push(")");
        }
    }

    fn state_condition<'s>(&'s self, statement: &mut StatementBuilder<'s>, column: &str) -> String {
        let states: Vec<&str> = match self.states {
            RecordingStates::Usual => return format!("{column} IN ('published', 'unpublished')"),
            RecordingStates::Any => return "coalesce(r.state, '') <> 'deleted'".to_owned(),
            // A recording without a state is in none, not in one without a name.
            RecordingStates::Listed(states) => states.iter().map(String::as_str).collect(),
        };
        let states: Vec<&str> =
            states.into_iter().filter(|one| is_storable(one) && !one.is_empty()).collect();
        if states.is_empty() {
            return "FALSE".to_owned();
        }
        format!("{column} IN ({})", statement.bind_all(&states))
    }
}

fn tenant_condition(scope: &TenantScope) -> Option<MetadataCondition<'_>> {
    let TenantScope::Tenant(tenant) = scope else { return None };
    Some(MetadataCondition { key: TENANT_KEY, values: vec![ValueMatch::Exact(tenant)] })
}

fn query_number(
    session: &mut dyn SqlConnection,
    statement: &StatementBuilder<'_>,
) -> Result<i64, StoreError> {
    let found = session.query_first(&statement.sql, &statement.values, |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Ids within one of some ranges.
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
            // Not a row of OR: there may be thousands.
            let missing = ranges.len().next_power_of_two() - ranges.len();
            let all = ranges.iter().chain(std::iter::repeat_n(last, missing));
            let rows: Vec<String> = all
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

/// Rows of metadata with one of some values, as the index of keys and values finds them. It may hold
/// only the beginnings of long values.
fn push_indexed_condition<'a>(
    statement: &mut StatementBuilder<'a>,
    condition: &MetadataCondition<'a>,
) {
    if condition.values.is_empty() {
        return statement.push("FALSE");
    }
    let key = statement.bind(condition.key);
    let values: Vec<&str> = condition.values.iter().map(|one| one.text()).collect();
    let marks = statement.bind_all(&values);
    let beginnings: Vec<String> =
        marks.split(", ").map(|mark| format!("substr({mark}, 1, 255)")).collect();
    statement.push(&format!(
        "m.key = {key} AND m.value IN ({marks}) AND substr(m.value, 1, 255) IN ({})",
        beginnings.join(", ")
    ));
}

/// Rows of metadata with one of some values, where the recording is known.
fn push_row_condition<'a>(statement: &mut StatementBuilder<'a>, condition: &MetadataCondition<'a>) {
    if condition.values.is_empty() {
        return statement.push("FALSE");
    }
    let key = statement.bind(condition.key);
    let values: Vec<String> =
        condition.values.iter().map(|one| value_condition(statement, *one)).collect();
    statement.push(&format!("m.key = {key} AND ({})", values.join(" OR ")));
}

/// No LIKE: letters are compared as they are, and nothing in them stands for others.
fn value_condition<'a>(statement: &mut StatementBuilder<'a>, wanted: ValueMatch<'a>) -> String {
    let text = wanted.text();
    if text.is_empty() {
        let exactly = matches!(wanted, ValueMatch::Exact(_));
        return if exactly { "coalesce(m.value, '') = ''" } else { "TRUE" }.to_owned();
    }
    let mark = statement.bind(text);
    match wanted {
        ValueMatch::Exact(_) => format!("m.value = {mark}"),
        ValueMatch::Prefix(_) => format!("substr(m.value, 1, length({mark})) = {mark}"),
        ValueMatch::Suffix(_) => {
            format!("substr(m.value, length(m.value) - length({mark}) + 1) = {mark}")
        }
        ValueMatch::Substring(_) => format!("instr(m.value, {mark}) > 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_bound_of_a_prefix_follows_all_that_begin_with_it() {
        for prefix in ["a", "a-", "ab~", "ä", "\u{d7ff}", "x\u{10ffff}", "a\u{10ffff}\u{10ffff}"] {
            let end = prefix_upper_bound(prefix);
            assert!(format!("{prefix}\u{10ffff}zz").as_bytes() < end.as_bytes(), "{prefix:?}");
            assert!(prefix.as_bytes() < end.as_bytes());
        }
        assert_eq!(
            (prefix_upper_bound("a").as_str(), prefix_upper_bound("a\u{10ffff}").as_str()),
            ("b", "b")
        );
        assert!(prefix_upper_bound("\u{10ffff}").starts_with('\u{10ffff}'));
    }
}
