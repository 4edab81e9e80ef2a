//! Conditions on the metadata of recordings, for statements that search recordings.

use domain::recording::catalog::{MetadataMatch, TENANT_KEY, TenantScope};

use super::statement::StatementBuilder;

/// A key of metadata and what its value must match: at least one of these.
pub(super) struct MetadataCondition<'a> {
    key: &'a str,
    values: Vec<ValueMatch<'a>>,
}

/// How a value is compared with a text.
#[derive(Clone, Copy)]
enum ValueMatch<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Suffix(&'a str),
    Substring(&'a str),
}

impl<'a> From<&'a MetadataMatch> for ValueMatch<'a> {
    fn from(condition: &'a MetadataMatch) -> Self {
        match condition {
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

    /// Returns the condition on a value. Not with LIKE, which ignores case in SQLite and has
    /// wildcards.
    fn to_sql(self, statement: &mut StatementBuilder<'a>) -> String {
        let text = self.text();
        if text.is_empty() {
            let is_exact = matches!(self, Self::Exact(_));
            return if is_exact { "coalesce(m.value, '') = ''" } else { "TRUE" }.to_owned();
        }
        let parameter = statement.bind(text);
        match self {
            Self::Exact(_) => format!("m.value = {parameter}"),
            Self::Prefix(_) => {
                format!("substr(m.value, 1, length({parameter})) = {parameter}")
            }
            Self::Suffix(_) => {
                format!("substr(m.value, length(m.value) - length({parameter}) + 1) = {parameter}")
            }
            Self::Substring(_) => format!("instr(m.value, {parameter}) > 0"),
        }
    }
}

/// Whether a text can equal a stored one: stored text contains no NUL, and PostgreSQL refuses it in
/// parameters.
pub(super) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

impl<'a> MetadataCondition<'a> {
    /// Returns the condition that the value of this key matches one of `values`.
    pub(super) fn new(key: &'a str, values: &'a [MetadataMatch]) -> Self {
        let values = values.iter().map(ValueMatch::from);
        Self { key, values: values.filter(|value| is_storable(value.text())).collect() }
    }

    /// Returns the condition that the recording belongs to the tenant of a scope.
    pub(super) fn for_scope(scope: &'a TenantScope) -> Option<Self> {
        let TenantScope::Tenant(tenant) = scope else { return None };
        Some(Self { key: TENANT_KEY, values: vec![ValueMatch::Exact(tenant)] })
    }

    /// Whether the index of keys and values finds the rows that meet this condition.
    pub(super) fn is_exact(&self) -> bool {
        let is_exact =
            |value: &ValueMatch<'_>| matches!(value, ValueMatch::Exact(text) if !text.is_empty());
        self.values.iter().all(is_exact)
    }

    /// Appends the condition in the form that the index of keys and values serves. The index
    /// contains only the beginnings of long values.
    pub(super) fn push_indexed(&self, statement: &mut StatementBuilder<'a>) {
        if self.values.is_empty() {
            return statement.push("FALSE");
        }
        let key = statement.bind(self.key);
        let values: Vec<&str> = self.values.iter().map(|value| value.text()).collect();
        let parameters = statement.bind_all(&values);
        let beginnings: Vec<String> = parameters
            .split(", ")
            .map(|parameter| format!("substr({parameter}, 1, 255)"))
            .collect();
        statement.push(&format!(
            "m.key = {key} AND m.value IN ({parameters}) AND substr(m.value, 1, 255) IN ({})",
            beginnings.join(", ")
        ));
    }

    /// Appends the condition on the metadata of a given recording.
    pub(super) fn push_for_recording(&self, statement: &mut StatementBuilder<'a>) {
        if self.values.is_empty() {
            return statement.push("FALSE");
        }
        let key = statement.bind(self.key);
        let values: Vec<String> = self.values.iter().map(|value| value.to_sql(statement)).collect();
        statement.push(&format!("m.key = {key} AND ({})", values.join(" OR ")));
    }
}
