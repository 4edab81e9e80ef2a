//! How the parameters of a front-end's call change before the call is forwarded: defaults,
//! overrides, exclusions, and parameters that the balancer adds. The result is a list of edits, so
//! that all other parameters are forwarded byte for byte.

use crate::tenant::{Tenant, TenantSetting};

/// Parameters that are never forwarded: the checksum, and those of Rails' routing, which the
/// original Scalelite does not forward either.
const NEVER_FORWARDED: [&str; 4] = ["checksum", "format", "controller", "action"];
/// The tenant of a meeting: metadata that only the balancer may set.
const TENANT_ID: &str = "meta_tenant-id";
const TENANT_NAME: &str = "meta_tenant-name";
/// The parameter with which a front-end requests servers with a tag.
pub const SERVER_TAG: &str = "meta_server-tag";

/// One edit of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryEdit {
    /// Gives the name exactly this value.
    Set(String, String),
    /// Gives the name this value unless the query has it.
    SetIfAbsent(String, String),
    /// Removes the name.
    Remove(String),
}

/// Returns whether removing the name `removed` also removes `name`. Names of metadata are compared
/// without case, because BBB ignores it, and up to the first character that ends a name in XML: what a server writes of
/// `meta_tenant-id ` reads as `tenant-id`.
#[must_use]
pub fn removal_matches(removed: &str, name: &str) -> bool {
    removed == name
        || removed.starts_with("meta_") && removed.eq_ignore_ascii_case(name_in_xml(name))
}

/// Returns what an XML parser takes for the name of an element that is called so.
#[must_use]
pub fn name_in_xml(name: &str) -> &str {
    let ends_name = |c: char| c.is_whitespace() || c.is_control() || "/><=\"'".contains(c);
    name.split(ends_name).next().unwrap_or_default()
}

/// The administrator's rules for the parameters of one call: `*_EXCLUDE_PARAMS`, `DEFAULT_*_PARAMS`
/// and `OVERRIDE_*_PARAMS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterRules {
    /// Names that are removed.
    pub exclude: Vec<String>,
    /// Values for names that the request does not have.
    pub defaults: Vec<(String, String)>,
    /// Values that replace those of the request.
    pub overrides: Vec<(String, String)>,
}

impl ParameterRules {
    /// Parses `name,name`.
    #[must_use]
    pub fn parse_names(text: &str) -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Parses `name=value,name=value`. A value may contain further `=`.
    ///
    /// # Errors
    /// When an entry has no `=` or no name; the error names the entry.
    pub fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        pieces
            .map(|piece| match piece.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(format!("`{piece}` is not name=value")),
            })
            .collect()
    }

    /// Returns these rules combined with the settings of a tenant. The tenant's defaults and
    /// overrides take precedence over those of the administrator.
    #[must_use]
    pub fn with_tenant(&self, settings: &[TenantSetting]) -> Self {
        let pairs = |is_override: bool| {
            settings
                .iter()
                .filter(move |setting| setting.is_override == is_override)
                .map(|setting| (setting.param.clone(), setting.value.clone()))
        };
        Self {
            exclude: self.exclude.clone(),
            defaults: pairs(false).chain(self.defaults.iter().cloned()).collect(),
            overrides: self.overrides.iter().cloned().chain(pairs(true)).collect(),
        }
    }

    /// Returns the edits: exclusions, then defaults (the first of a name is used), then overrides
    /// (the last of a name is used).
    fn edits(&self) -> impl Iterator<Item = QueryEdit> + '_ {
        let removals = self.exclude.iter().cloned().map(QueryEdit::Remove);
        let defaults =
            self.defaults.iter().cloned().map(|(name, value)| QueryEdit::SetIfAbsent(name, value));
        let overrides =
            self.overrides.iter().cloned().map(|(name, value)| QueryEdit::Set(name, value));
        removals.chain(defaults).chain(overrides)
    }
}

/// Decisions of the placement that change the parameters of a create call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateDecisions<'a> {
    /// The voice bridge reserved for the meeting.
    pub voice_bridge: Option<&'a str>,
    /// A generated moderator password, if the request has none and the meeting is new.
    pub moderator_pw: Option<&'a str>,
    /// The tag of the chosen server.
    pub server_tag: Option<&'a str>,
}

/// Returns the edits that turn a front-end's create call into the one that is sent to the chosen
/// server.
#[must_use]
pub fn create_edits(
    decisions: CreateDecisions<'_>,
    tenant: Option<&Tenant>,
    duration: Option<&str>,
    max_duration_min: Option<u32>,
    rules: &ParameterRules,
) -> Vec<QueryEdit> {
    let set = |name: &str, value: &str| QueryEdit::Set(name.to_owned(), value.to_owned());
    let tenant_removals = removals(&[TENANT_ID, TENANT_NAME]);
    let mut edits: Vec<QueryEdit> = removals(&NEVER_FORWARDED).chain(tenant_removals).collect();
    edits.extend(decisions.voice_bridge.map(|number| set("voiceBridge", number)));
    edits.extend(decisions.moderator_pw.map(|password| set("moderatorPW", password)));
    let clamped = max_duration_min.and_then(|max| clamp_duration(duration, max));
    edits.extend(clamped.map(|minutes| set("duration", &minutes.to_string())));
    edits.extend(rules.edits());
    // After the rules, because their tags served to choose the server; the server gets its own tag.
    edits.push(match decisions.server_tag {
        Some(tag) => set(SERVER_TAG, tag),
        None => QueryEdit::Remove(SERVER_TAG.to_owned()),
    });
    // Last, so that no rule can assign the meeting to another tenant.
    edits.extend(
        tenant
            .into_iter()
            .flat_map(|tenant| [set(TENANT_ID, &tenant.id), set(TENANT_NAME, &tenant.name)]),
    );
    edits
}

/// Returns the edits that turn a front-end's join call into the one that the browser is redirected
/// to.
#[must_use]
pub fn join_edits(rules: &ParameterRules) -> Vec<QueryEdit> {
    removals(&NEVER_FORWARDED).chain(rules.edits()).collect()
}

/// Returns the edits of a call that is forwarded without the administrator's rules.
#[must_use]
pub fn forward_edits() -> Vec<QueryEdit> {
    removals(&NEVER_FORWARDED).collect()
}

fn removals(names: &[&str]) -> impl Iterator<Item = QueryEdit> {
    names.iter().map(|name| QueryEdit::Remove((*name).to_owned()))
}

/// Returns the maximum if the requested duration, in minutes, exceeds it, is unlimited (0 or
/// absent), or is not a number; otherwise `None`.
fn clamp_duration(requested: Option<&str>, max: u32) -> Option<u32> {
    let text = requested.map(str::trim).unwrap_or_default();
    let is_plain_number = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let minutes = text.parse::<f64>().ok().filter(|_| is_plain_number);
    let is_within = minutes.is_some_and(|minutes| minutes >= 1.0 && minutes < f64::from(max) + 1.0);
    (!is_within).then_some(max)
}

/// Returns the tag to place a meeting by: that of an override, else of the request, else of a
/// default.
#[must_use]
pub fn effective_tag<'a>(requested: Option<&'a str>, rules: &'a ParameterRules) -> Option<&'a str> {
    let tag = |(name, value): &'a (String, String)| (name == SERVER_TAG).then_some(value.as_str());
    let default = || rules.defaults.iter().find_map(tag);
    rules.overrides.iter().rev().find_map(tag).or(requested).or_else(default)
}

/// Returns whether a name may occur several times in a forwarded query. Of any other name only the
/// last pair is forwarded, as in the original Scalelite.
#[must_use]
pub fn is_repeatable(name: &str) -> bool {
    name.ends_with("[]") || name.starts_with("userdata-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> ParameterRules {
        ParameterRules {
            exclude: ParameterRules::parse_names("logo, secret,,"),
            defaults: ParameterRules::parse_pairs("record=false,welcome=Hello=World").unwrap(),
            overrides: ParameterRules::parse_pairs("meta_server-tag=blue!").unwrap(),
        }
    }

    #[test]
    fn rules_are_parsed() {
        assert_eq!(rules().exclude, ["logo", "secret"]);
        assert_eq!(rules().defaults[1], ("welcome".to_owned(), "Hello=World".to_owned()));
        assert_eq!(ParameterRules::parse_pairs("a=1,b").unwrap_err(), "`b` is not name=value");
        assert!(ParameterRules::parse_pairs("=b").is_err());
    }

    #[test]
    fn durations_are_clamped() {
        for (requested, expected) in [
            (None, Some(60)),
            (Some("0"), Some(60)),
            (Some("61"), Some(60)),
            (Some("99999999999"), Some(60)),
            (Some("-5"), Some(60)),
            (Some("12abc"), Some(60)),
            (Some("1e1"), Some(60)),
            (Some("0.5"), Some(60)),
            (Some("61.0"), Some(60)),
            (Some("30.5"), None),
            (Some("60"), None),
            (Some("1"), None),
        ] {
            assert_eq!(clamp_duration(requested, 60), expected, "{requested:?}");
        }
    }

    #[test]
    fn edits_are_in_order() {
        let decisions =
            CreateDecisions { voice_bridge: Some("12345"), moderator_pw: None, server_tag: None };
        let edits = create_edits(decisions, None, Some("5"), Some(60), &rules());
        let position = |wanted: &QueryEdit| edits.iter().position(|edit| edit == wanted).unwrap();
        let bridge = position(&QueryEdit::Set("voiceBridge".to_owned(), "12345".to_owned()));
        let removed = position(&QueryEdit::Remove("logo".to_owned()));
        let default = position(&QueryEdit::SetIfAbsent("record".to_owned(), "false".to_owned()));
        let tag = position(&QueryEdit::Remove(SERVER_TAG.to_owned()));
        assert!(bridge < removed && removed < default && default < tag && tag == edits.len() - 1);
        assert!(edits.contains(&QueryEdit::Remove("meta_tenant-id".to_owned())));
    }

    #[test]
    fn override_request_and_default_tags_are_used_in_this_order() {
        assert_eq!(effective_tag(Some("red"), &rules()), Some("blue!"));
        let mut rules = ParameterRules::default();
        assert_eq!(effective_tag(Some("red"), &rules), Some("red"));
        rules.defaults.push((SERVER_TAG.to_owned(), "green".to_owned()));
        assert_eq!(effective_tag(None, &rules), Some("green"));
    }

    fn setting(param: &str, value: &str, is_override: bool) -> TenantSetting {
        let [id, tenant, param, value] = ["1", "t", param, value].map(str::to_owned);
        TenantSetting { id, tenant, param, value, is_override }
    }

    #[test]
    fn tenant_rules_take_precedence_over_global_rules() {
        let settings = [setting("record", "true", false), setting("logo", "l", true)];
        let merged = rules().with_tenant(&settings);
        let names = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&merged.defaults), ["record=true", "record=false", "welcome=Hello=World"]);
        assert_eq!(names(&merged.overrides), ["meta_server-tag=blue!", "logo=l"]);
        let tag =
            |value, is_override| rules().with_tenant(&[setting(SERVER_TAG, value, is_override)]);
        assert_eq!(effective_tag(Some("red"), &tag("own", true)), Some("own"));
        assert_eq!(effective_tag(Some("red"), &tag("own", false)), Some("blue!"));
        let mut defaults = ParameterRules::default();
        defaults.defaults.push((SERVER_TAG.to_owned(), "green".to_owned()));
        let defaults = defaults.with_tenant(&[setting(SERVER_TAG, "own", false)]);
        assert_eq!(effective_tag(None, &defaults), Some("own"));
        assert_eq!(effective_tag(Some("red"), &defaults), Some("red"));
    }

    #[test]
    fn only_the_balancer_sets_the_tenant() {
        let [id, name] = ["7", "acme"].map(str::to_owned);
        let tenant =
            Tenant { id, name, secrets: String::new(), lrs: crate::tenant::Lrs::default() };
        let decisions =
            CreateDecisions { voice_bridge: None, moderator_pw: None, server_tag: None };
        let rules = rules().with_tenant(&[setting(TENANT_ID, "8", true)]);
        let edits = create_edits(decisions, Some(&tenant), None, None, &rules);
        let removed =
            edits.iter().position(|edit| *edit == QueryEdit::Remove(TENANT_ID.to_owned()));
        let set = QueryEdit::Set(TENANT_ID.to_owned(), "7".to_owned());
        let set = edits.iter().rposition(|edit| *edit == set).unwrap();
        assert!(removed.unwrap() < set);
        let forged = QueryEdit::Set(TENANT_ID.to_owned(), "8".to_owned());
        assert!(edits.iter().position(|edit| *edit == forged).unwrap() < set);
        assert!(removal_matches(TENANT_ID, "meta_Tenant-ID") && !removal_matches("logo", "Logo"));
        for name in ["meta_tenant-id ", "meta_Tenant-id\t x", "meta_tenant-id/", "meta_tenant-id>"]
        {
            assert!(removal_matches(TENANT_ID, name), "{name}");
        }
        assert!(
            !removal_matches(TENANT_ID, "meta_tenant-ids") && !removal_matches("logo", "logo ")
        );
    }
}
