//! What becomes of a front-end's parameters on their way to a server: defaults, overrides,
//! exclusions and what the balancer itself adds. The result is a list of edits, so that everything
//! that is not named here passes byte for byte.

use crate::tenant::{Tenant, TenantSetting};

/// Parameters of Rails' routing, which the original never passes on, and the checksum.
const NEVER_FORWARDED: [&str; 4] = ["checksum", "format", "controller", "action"];
/// Whose meeting it is: metadata that only the balancer may set.
const TENANT_ID: &str = "meta_tenant-id";
const TENANT_NAME: &str = "meta_tenant-name";
/// Where a front-end asks for tagged servers.
pub const SERVER_TAG: &str = "meta_server-tag";

/// One edit of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryEdit {
    /// The name has exactly this value.
    Set(String, String),
    /// The name has this value unless the request gives one.
    SetIfAbsent(String, String),
    /// The name is taken out.
    Remove(String),
}

/// Whether taking out one name takes out the other. BBB does not tell metadata apart by case.
#[must_use]
pub fn removal_matches(removed: &str, name: &str) -> bool {
    removed == name || removed.starts_with("meta_") && removed.eq_ignore_ascii_case(name)
}

/// The administrator's rules for one call: `*_EXCLUDE_PARAMS`, `DEFAULT_*_PARAMS` and
/// `OVERRIDE_*_PARAMS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterRules {
    /// Names that are dropped.
    pub exclude: Vec<String>,
    /// Values for names that the request leaves out.
    pub defaults: Vec<(String, String)>,
    /// Values that win over the request.
    pub overrides: Vec<(String, String)>,
}

impl ParameterRules {
    /// Reads `name,name`.
    #[must_use]
    pub fn parse_names(text: &str) -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Reads `name=value,name=value`; a value may hold further `=`.
    ///
    /// # Errors
    /// Names the piece that has no `=` or no name.
    pub fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        let pieces = text.split(',').map(str::trim).filter(|piece| !piece.is_empty());
        pieces
            .map(|piece| match piece.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(format!("`{piece}` is not name=value")),
            })
            .collect()
    }

    /// These rules for a tenant: its defaults fill in before ours, its overrides win over ours.
    #[must_use]
    pub fn with_tenant(&self, settings: &[TenantSetting]) -> Self {
        let of = |wins: bool| {
            let settings = settings.iter().filter(move |setting| setting.is_override == wins);
            settings.map(|setting| (setting.param.clone(), setting.value.clone()))
        };
        Self {
            exclude: self.exclude.clone(),
            defaults: of(false).chain(self.defaults.iter().cloned()).collect(),
            overrides: self.overrides.iter().cloned().chain(of(true)).collect(),
        }
    }

    /// Exclusions, then defaults (the first of a name counts), then overrides (the last one does).
    fn edits(&self) -> impl Iterator<Item = QueryEdit> + '_ {
        let dropped = self.exclude.iter().cloned().map(QueryEdit::Remove);
        let defaults =
            self.defaults.iter().cloned().map(|(name, value)| QueryEdit::SetIfAbsent(name, value));
        let overrides =
            self.overrides.iter().cloned().map(|(name, value)| QueryEdit::Set(name, value));
        dropped.chain(defaults).chain(overrides)
    }
}

/// What placing a meeting decided about its create call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateDecisions<'a> {
    /// The number reserved for it.
    pub voice_bridge: Option<&'a str>,
    /// A password made by us, if the request has none and the meeting is new.
    pub moderator_pw: Option<&'a str>,
    /// The tag of the chosen server.
    pub server_tag: Option<&'a str>,
}

/// The edits that turn a front-end's create into the one sent to the chosen server.
#[must_use]
pub fn create_edits(
    placed: CreateDecisions<'_>,
    tenant: Option<&Tenant>,
    duration: Option<&str>,
    max_duration_min: Option<u32>,
    rules: &ParameterRules,
) -> Vec<QueryEdit> {
    let set = |name: &str, value: &str| QueryEdit::Set(name.to_owned(), value.to_owned());
    let reserved = removals(&[TENANT_ID, TENANT_NAME]);
    let mut edits: Vec<QueryEdit> = removals(&NEVER_FORWARDED).chain(reserved).collect();
    edits.extend(placed.voice_bridge.map(|number| set("voiceBridge", number)));
    edits.extend(placed.moderator_pw.map(|password| set("moderatorPW", password)));
    let clamped = max_duration_min.and_then(|max| clamp_duration(duration, max));
    edits.extend(clamped.map(|minutes| set("duration", &minutes.to_string())));
    edits.extend(rules.edits());
    // Last, because rules about tags chose the server; what is told to it is its own tag.
    edits.push(match placed.server_tag {
        Some(tag) => set(SERVER_TAG, tag),
        None => QueryEdit::Remove(SERVER_TAG.to_owned()),
    });
    // No rule makes a meeting another tenant's.
    edits.extend(
        tenant
            .into_iter()
            .flat_map(|tenant| [set(TENANT_ID, &tenant.id), set(TENANT_NAME, &tenant.name)]),
    );
    edits
}

/// The edits that turn a front-end's join into the one that the browser is sent to.
#[must_use]
pub fn join_edits(rules: &ParameterRules) -> Vec<QueryEdit> {
    removals(&NEVER_FORWARDED).chain(rules.edits()).collect()
}

/// The edits of a call that is passed on as it is.
#[must_use]
pub fn forward_edits() -> Vec<QueryEdit> {
    removals(&NEVER_FORWARDED).collect()
}

fn removals(names: &[&str]) -> impl Iterator<Item = QueryEdit> {
    names.iter().map(|name| QueryEdit::Remove((*name).to_owned()))
}

/// The maximum, where the request asks for more, for no limit (0, absent), or for nonsense.
fn clamp_duration(requested: Option<&str>, max: u32) -> Option<u32> {
    let text = requested.map(str::trim).unwrap_or_default();
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let minutes = text.parse::<f64>().ok().filter(|_| plain);
    let within = minutes.is_some_and(|minutes| minutes >= 1.0 && minutes < f64::from(max) + 1.0);
    (!within).then_some(max)
}

/// The tag that counts: an override's, else the request's, else a default's.
#[must_use]
pub fn effective_tag<'a>(requested: Option<&'a str>, rules: &'a ParameterRules) -> Option<&'a str> {
    let tag = |(name, value): &'a (String, String)| (name == SERVER_TAG).then_some(value.as_str());
    let default = || rules.defaults.iter().find_map(tag);
    rules.overrides.iter().rev().find_map(tag).or(requested).or_else(default)
}

/// Whether a name may stand several times in a query that is passed on. Of all others the last
/// one counts, as in the original.
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
    fn rules_are_read() {
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
    fn the_order_of_edits() {
        let placed =
            CreateDecisions { voice_bridge: Some("12345"), moderator_pw: None, server_tag: None };
        let edits = create_edits(placed, None, Some("5"), Some(60), &rules());
        let at = |wanted: &QueryEdit| edits.iter().position(|edit| edit == wanted).unwrap();
        let bridge = at(&QueryEdit::Set("voiceBridge".to_owned(), "12345".to_owned()));
        let dropped = at(&QueryEdit::Remove("logo".to_owned()));
        let default = at(&QueryEdit::SetIfAbsent("record".to_owned(), "false".to_owned()));
        let tag = at(&QueryEdit::Remove(SERVER_TAG.to_owned()));
        assert!(bridge < dropped && dropped < default && default < tag && tag == edits.len() - 1);
        assert!(edits.contains(&QueryEdit::Remove("meta_tenant-id".to_owned())));
    }

    #[test]
    fn the_strongest_tag_wins() {
        assert_eq!(effective_tag(Some("red"), &rules()), Some("blue!"));
        let mut rules = ParameterRules::default();
        assert_eq!(effective_tag(Some("red"), &rules), Some("red"));
        rules.defaults.push((SERVER_TAG.to_owned(), "green".to_owned()));
        assert_eq!(effective_tag(None, &rules), Some("green"));
    }

    fn setting(param: &str, value: &str, wins: bool) -> TenantSetting {
        let [id, tenant, param, value] = ["1", "t", param, value].map(str::to_owned);
        TenantSetting { id, tenant, param, value, is_override: wins }
    }

    #[test]
    fn tenant_rules_enclose_the_global_rules() {
        let settings = [setting("record", "true", false), setting("logo", "l", true)];
        let merged = rules().with_tenant(&settings);
        let names = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(names(&merged.defaults), ["record=true", "record=false", "welcome=Hello=World"]);
        assert_eq!(names(&merged.overrides), ["meta_server-tag=blue!", "logo=l"]);
        let tag = |value, wins| rules().with_tenant(&[setting(SERVER_TAG, value, wins)]);
        assert_eq!(effective_tag(Some("red"), &tag("own", true)), Some("own"));
        assert_eq!(effective_tag(Some("red"), &tag("own", false)), Some("blue!"));
        let mut weak = ParameterRules::default();
        weak.defaults.push((SERVER_TAG.to_owned(), "green".to_owned()));
        let weak = weak.with_tenant(&[setting(SERVER_TAG, "own", false)]);
        assert_eq!(effective_tag(None, &weak), Some("own"));
        assert_eq!(effective_tag(Some("red"), &weak), Some("red"));
    }

    #[test]
    fn only_the_balancer_sets_the_tenant() {
        let [id, name] = ["7", "acme"].map(str::to_owned);
        let tenant =
            Tenant { id, name, secrets: String::new(), lrs: crate::tenant::Lrs::default() };
        let placed = CreateDecisions { voice_bridge: None, moderator_pw: None, server_tag: None };
        let rules = rules().with_tenant(&[setting(TENANT_ID, "8", true)]);
        let edits = create_edits(placed, Some(&tenant), None, None, &rules);
        let removed =
            edits.iter().position(|edit| *edit == QueryEdit::Remove(TENANT_ID.to_owned()));
        let set = QueryEdit::Set(TENANT_ID.to_owned(), "7".to_owned());
        let set = edits.iter().rposition(|edit| *edit == set).unwrap();
        assert!(removed.unwrap() < set);
        let forged = QueryEdit::Set(TENANT_ID.to_owned(), "8".to_owned());
        assert!(edits.iter().position(|edit| *edit == forged).unwrap() < set);
        assert!(removal_matches(TENANT_ID, "meta_Tenant-ID") && !removal_matches("logo", "Logo"));
    }
}
