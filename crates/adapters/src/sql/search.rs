//! Searches in recordings: which ones, how many, and in which order. Statements are put together from pieces
//! of this file and hold no text of a caller's, only marks for it.
//!
//! A search finds the keys of rows; what belongs to these is read afterwards, so that no condition on metadata
//! ever limits the metadata that is shown. Conditions on metadata are written in one of two ways. Where one of
//! them is known to hold for few recordings, these are *gathered* by the index of keys and values, and put in order.
//! Otherwise recordings are *walked* in the order of their beginnings, each is looked at, and the walk ends with
//! the page.

use app::ports::{Cursor, StoreError};
use domain::recording::library::{Filter, Scope, States, TENANT, Wanted};

use super::session::Session;
use super::statement::Statement;

/// More recordings than this are not gathered and put in order for the sake of one page.
const FEW: i64 = 2_000;

/// What is wanted, as the database needs it.
pub(super) struct Search<'a> {
    /// Ranges of record ids; any id if there are none.
    ranges: Option<Vec<(&'a str, String)>>,
    meeting_ids: Option<Vec<&'a str>>,
    states: &'a States,
    metadata: Vec<Condition<'a>>,
}

/// A key and the values of which it must have one.
struct Condition<'a> {
    key: &'a str,
    wanted: Vec<Has<'a>>,
}

/// What a value must be, or have.
#[derive(Clone, Copy)]
enum Has<'a> {
    Exactly(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Within(&'a str),
}

impl<'a> From<&'a Wanted> for Has<'a> {
    fn from(wanted: &'a Wanted) -> Self {
        match wanted {
            Wanted::Exactly(text) => Self::Exactly(text),
            Wanted::Prefix(text) => Self::Prefix(text),
            Wanted::Suffix(text) => Self::Suffix(text),
            Wanted::Within(text) => Self::Within(text),
        }
    }
}

impl<'a> Has<'a> {
    fn text(self) -> &'a str {
        let (Self::Exactly(text) | Self::Prefix(text) | Self::Suffix(text) | Self::Within(text)) =
            self;
        text
    }
}

impl Condition<'_> {
    /// Whether the index of keys and values finds what it holds for.
    fn is_exact(&self) -> bool {
        let exact = |one: &Has<'_>| matches!(one, Has::Exactly(text) if !text.is_empty());
        self.wanted.iter().all(exact)
    }
}

/// How conditions on metadata are put.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// By this one first.
    Gather(usize),
    /// Recording by recording.
    Walk,
}

/// Recordings that have a beginning, and then those that have none.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Timed,
    Untimed,
}

/// No text that is stored holds NUL, and PostgreSQL does not even compare with it.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A text behind all that begin with a prefix. (A prefix of nothing but the last of all characters gets one that
/// is behind all ids there are.)
fn behind(prefix: &str) -> String {
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

impl<'a> Search<'a> {
    pub(super) fn new(filter: &'a Filter, scope: &'a Scope) -> Self {
        let some = |texts: &'a [String]| {
            let storable = || texts.iter().map(String::as_str).filter(|text| is_storable(text));
            (!texts.is_empty()).then(|| storable().collect::<Vec<&str>>())
        };
        let ranges = some(&filter.record_ids);
        let meeting_ids = if ranges.is_some() { None } else { some(&filter.meeting_ids) };
        let metadata = filter.metadata.iter().map(|(key, wanted)| Condition {
            key,
            wanted: wanted.iter().map(Has::from).filter(|one| is_storable(one.text())).collect(),
        });
        Self {
            ranges: ranges.map(|ids| ids.into_iter().map(|id| (id, behind(id))).collect()),
            meeting_ids,
            states: &filter.states,
            metadata: tenant(scope).into_iter().chain(metadata).collect(),
        }
    }

    /// How its pages are found.
    pub(super) fn way(&self, session: &mut dyn Session) -> Result<Way, StoreError> {
        if self.ranges.is_some() || self.meeting_ids.is_some() {
            return Ok(Way::Walk);
        }
        let mut fewest = (FEW + 1, Way::Walk);
        for (at, condition) in self.metadata.iter().enumerate().filter(|(_, one)| one.is_exact()) {
            let mut statement = Statement::default();
            statement.push("SELECT count(*) FROM (SELECT 1 AS one FROM metadata m WHERE ");
            by_index(&mut statement, condition);
            let limit = statement.mark(fewest.0);
            statement.push(&format!(" LIMIT {limit}) AS found"));
            let count = number(session, &statement)?;
            if count < fewest.0 {
                fewest = (count, Way::Gather(at));
            }
        }
        Ok(fewest.1)
    }

    /// How many recordings there are.
    pub(super) fn count(&self, session: &mut dyn Session) -> Result<i64, StoreError> {
        // To count them all, gathering is quicker in any case.
        let exact = self.metadata.iter().position(Condition::is_exact);
        let way = exact.map_or(Way::Walk, Way::Gather);
        let counted = |extra: &str| {
            let mut statement = Statement::default();
            statement.push("SELECT count(*) FROM recordings r WHERE ");
            let state = self.state(&mut statement, "r.state");
            statement.push(&state);
            self.conditions(&mut statement, way);
            statement.push(extra);
            statement
        };
        let all = number(session, &counted(""))?;
        // Those without an id are no recordings. Counted apart, so that the others are by an index alone.
        let any = "SELECT count(*) FROM recordings r WHERE r.record_id IS NULL";
        let nameless: Option<i64> = session.first(any, &[], |row| row.get(0))?;
        match nameless {
            None | Some(0) => Ok(all),
            Some(_) => Ok(all - number(session, &counted(" AND r.record_id IS NULL"))?),
        }
    }

    /// Whether it is quick to count what is found.
    pub(super) fn is_narrow(&self) -> bool {
        self.ranges.is_some() || self.meeting_ids.is_some()
    }

    /// The keys of a page: after a place or from a number on.
    pub(super) fn keys(
        &self,
        session: &mut dyn Session,
        way: Way,
        after: Option<&Cursor>,
        offset: i64,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let is_untimed = after.is_some_and(|cursor| cursor.started_at.is_none());
        let mut keys = Vec::new();
        if !is_untimed {
            keys = self.part(session, way, Part::Timed, after, (offset, limit))?;
        }
        let found = i64::try_from(keys.len()).unwrap_or(i64::MAX);
        if found < limit {
            let passed = if found == 0 && offset > 0 { self.timed(session, way)? } else { offset };
            let (after, rest) = (after.filter(|_| is_untimed), (offset - passed).max(0));
            keys.extend(self.part(session, way, Part::Untimed, after, (rest, limit - found))?);
        }
        Ok(keys)
    }

    fn timed(&self, session: &mut dyn Session, way: Way) -> Result<i64, StoreError> {
        let mut statement = Statement::default();
        statement.push("SELECT count(*) FROM recordings r WHERE ");
        self.shown(&mut statement, way);
        statement.push(" AND r.starttime IS NOT NULL AND r.record_id IS NOT NULL");
        number(session, &statement)
    }

    fn part(
        &self,
        session: &mut dyn Session,
        way: Way,
        part: Part,
        after: Option<&Cursor>,
        (offset, limit): (i64, i64),
    ) -> Result<Vec<i64>, StoreError> {
        let mut statement = Statement::default();
        statement.push("SELECT r.id FROM recordings r WHERE ");
        self.shown(&mut statement, way);
        statement.push(" AND r.record_id IS NOT NULL AND r.starttime IS");
        statement.push(if part == Part::Timed { " NOT NULL" } else { " NULL" });
        if let Some(cursor) = after {
            let id = statement.mark(cursor.record_id.as_str());
            let behind = format!("r.record_id COLLATE BINARY > {id}");
            match cursor.started_at {
                Some(at) => {
                    let at = statement.mark(at);
                    statement.push(&format!(
                        " AND r.starttime <= {at} AND (r.starttime < {at} OR {behind})"
                    ));
                }
                None => statement.push(&format!(" AND {behind}")),
            }
        }
        statement.push(match part {
            Part::Timed => " ORDER BY r.starttime DESC, r.record_id COLLATE BINARY",
            Part::Untimed => " ORDER BY r.record_id COLLATE BINARY",
        });
        let limit = statement.mark(limit);
        statement.push(&format!(" LIMIT {limit}"));
        if offset > 0 {
            let offset = statement.mark(offset);
            statement.push(&format!(" OFFSET {offset}"));
        }
        session.query(&statement.sql, &statement.values, |row| row.get(0))
    }

    /// Conditions of pages. Nearly all recordings are in the states that are wanted: the index of states is
    /// never the way to a page, and hidden from planners here.
    fn shown<'s>(&'s self, statement: &mut Statement<'s>, way: Way) {
        let state = self.state(statement, "coalesce(r.state, '')");
        statement.push(&state);
        self.conditions(statement, way);
    }

    fn conditions<'s>(&'s self, statement: &mut Statement<'s>, way: Way) {
        if let Some(ranges) = &self.ranges {
            statement.push(" AND ");
            within(statement, ranges);
        }
        if let Some(ids) = &self.meeting_ids {
            let marks = statement.marks(ids);
            statement.push(&if ids.is_empty() {
                " AND FALSE".to_owned()
            } else {
                format!(" AND r.meeting_id IN ({marks})")
            });
        }
        for (at, condition) in self.metadata.iter().enumerate() {
            if way == Way::Gather(at) {
                statement.push(" AND r.id IN (SELECT m.recording_id FROM metadata m WHERE ");
                by_index(statement, condition);
            } else {
                statement
                    .push(" AND EXISTS (SELECT 1 FROM metadata m WHERE m.recording_id = r.id AND ");
                one_by_one(statement, condition);
            }
            statement.push(")");
        }
    }

    fn state<'s>(&'s self, statement: &mut Statement<'s>, column: &str) -> String {
        let states: Vec<&str> = match self.states {
            States::Usual => return format!("{column} IN ('published', 'unpublished')"),
            States::Any => return "coalesce(r.state, '') <> 'deleted'".to_owned(),
            // A recording without a state is in none, not in one without a name.
            States::These(states) => states.iter().map(String::as_str).collect(),
        };
        let states: Vec<&str> =
            states.into_iter().filter(|one| is_storable(one) && !one.is_empty()).collect();
        if states.is_empty() {
            return "FALSE".to_owned();
        }
        format!("{column} IN ({})", statement.marks(&states))
    }
}

fn tenant(scope: &Scope) -> Option<Condition<'_>> {
    let Scope::Tenant(tenant) = scope else { return None };
    Some(Condition { key: TENANT, wanted: vec![Has::Exactly(tenant)] })
}

fn number(session: &mut dyn Session, statement: &Statement<'_>) -> Result<i64, StoreError> {
    let found = session.first(&statement.sql, &statement.values, |row| row.get(0))?;
    Ok(found.unwrap_or_default())
}

/// Ids within one of some ranges.
fn within<'a>(statement: &mut Statement<'a>, ranges: &'a [(&'a str, String)]) {
    match ranges {
        [] => statement.push("FALSE"),
        [(from, to)] => {
            let (from, to) = (statement.mark(*from), statement.mark(to));
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
                    let (from, to) = (statement.mark(*from), statement.mark(to));
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
fn by_index<'a>(statement: &mut Statement<'a>, condition: &Condition<'a>) {
    if condition.wanted.is_empty() {
        return statement.push("FALSE");
    }
    let key = statement.mark(condition.key);
    let values: Vec<&str> = condition.wanted.iter().map(|one| one.text()).collect();
    let marks = statement.marks(&values);
    let beginnings: Vec<String> =
        marks.split(", ").map(|mark| format!("substr({mark}, 1, 255)")).collect();
    statement.push(&format!(
        "m.key = {key} AND m.value IN ({marks}) AND substr(m.value, 1, 255) IN ({})",
        beginnings.join(", ")
    ));
}

/// Rows of metadata with one of some values, where the recording is known.
fn one_by_one<'a>(statement: &mut Statement<'a>, condition: &Condition<'a>) {
    if condition.wanted.is_empty() {
        return statement.push("FALSE");
    }
    let key = statement.mark(condition.key);
    let values: Vec<String> = condition.wanted.iter().map(|one| value(statement, *one)).collect();
    statement.push(&format!("m.key = {key} AND ({})", values.join(" OR ")));
}

/// No LIKE: letters are compared as they are, and nothing in them stands for others.
fn value<'a>(statement: &mut Statement<'a>, wanted: Has<'a>) -> String {
    let text = wanted.text();
    if text.is_empty() {
        let exactly = matches!(wanted, Has::Exactly(_));
        return if exactly { "coalesce(m.value, '') = ''" } else { "TRUE" }.to_owned();
    }
    let mark = statement.mark(text);
    match wanted {
        Has::Exactly(_) => format!("m.value = {mark}"),
        Has::Prefix(_) => format!("substr(m.value, 1, length({mark})) = {mark}"),
        Has::Suffix(_) => {
            format!("substr(m.value, length(m.value) - length({mark}) + 1) = {mark}")
        }
        Has::Within(_) => format!("instr(m.value, {mark}) > 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_a_prefix_is_behind_all_that_begin_with_it() {
        for prefix in ["a", "a-", "ab~", "ä", "\u{d7ff}", "x\u{10ffff}", "a\u{10ffff}\u{10ffff}"] {
            let end = behind(prefix);
            assert!(format!("{prefix}\u{10ffff}zz").as_bytes() < end.as_bytes(), "{prefix:?}");
            assert!(prefix.as_bytes() < end.as_bytes());
        }
        assert_eq!((behind("a").as_str(), behind("a\u{10ffff}").as_str()), ("b", "b"));
        assert!(behind("\u{10ffff}").starts_with('\u{10ffff}'));
    }
}
