//! What a management token allows: the scopes that it was given, and whether they cover an action.

use std::fmt;

/// What a token may be allowed, and what an action needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See servers, the state of the pool, and where meetings would be placed.
    ServersRead,
    /// Add, change, drain, poll and remove servers.
    ServersWrite,
    /// See meetings.
    MeetingsRead,
    /// End meetings.
    MeetingsWrite,
    /// See tenants and their settings, without secrets.
    TenantsRead,
    /// Add, change and remove tenants and their settings.
    TenantsWrite,
    /// See recordings, imports and callbacks.
    RecordingsRead,
    /// Publish, protect and delete recordings, retry imports and callbacks.
    RecordingsWrite,
    /// See who has changed what.
    AuditRead,
    /// Everything: also tokens, settings and checks of the deployment.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 10] = [
        Self::ServersRead,
        Self::ServersWrite,
        Self::MeetingsRead,
        Self::MeetingsWrite,
        Self::TenantsRead,
        Self::TenantsWrite,
        Self::RecordingsRead,
        Self::RecordingsWrite,
        Self::AuditRead,
        Self::Admin,
    ];

    /// The name of the scope.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ServersRead => "servers:read",
            Self::ServersWrite => "servers:write",
            Self::MeetingsRead => "meetings:read",
            Self::MeetingsWrite => "meetings:write",
            Self::TenantsRead => "tenants:read",
            Self::TenantsWrite => "tenants:write",
            Self::RecordingsRead => "recordings:read",
            Self::RecordingsWrite => "recordings:write",
            Self::AuditRead => "audit:read",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// Whether a token with this scope can be limited to a tenant: servers, audit and settings belong to all tenants.
    #[must_use]
    pub fn is_divisible(self) -> bool {
        !matches!(self, Self::ServersRead | Self::ServersWrite | Self::AuditRead | Self::Admin)
    }

    /// Whoever may change something may see it.
    fn implied(self) -> Option<Self> {
        match self {
            Self::ServersWrite => Some(Self::ServersRead),
            Self::MeetingsWrite => Some(Self::MeetingsRead),
            Self::TenantsWrite => Some(Self::TenantsRead),
            Self::RecordingsWrite => Some(Self::RecordingsRead),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a list of scopes cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeError {
    /// The list is empty.
    Empty,
    /// There is no such scope.
    Unknown(String),
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a token needs at least one scope")?,
            Self::Unknown(name) => write!(f, "there is no scope `{name}`")?,
        }
        f.write_str("; the scopes are read (all that end in :read)")?;
        Scope::ALL.iter().try_for_each(|scope| write!(f, ", {scope}"))
    }
}

impl std::error::Error for ScopeError {}

/// The scopes of a token, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// These scopes.
    #[must_use]
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }

    /// Reads a list of names, separated by commas. `read` stands for all scopes that only see.
    ///
    /// # Errors
    /// When the list is empty or names an unknown scope.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Self::from_names(text.split(',').map(str::trim).filter(|name| !name.is_empty()))
    }

    /// Reads names, as [`Self::parse`] does.
    ///
    /// # Errors
    /// When there are none, or one is unknown.
    pub fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, ScopeError> {
        let mut scopes = Vec::new();
        for name in names {
            if name == "read" {
                scopes
                    .extend(Scope::ALL.into_iter().filter(|scope| scope.name().ends_with(":read")));
            } else {
                scopes.push(
                    Scope::from_name(name).ok_or_else(|| ScopeError::Unknown(name.to_owned()))?,
                );
            }
        }
        if scopes.is_empty() { Err(ScopeError::Empty) } else { Ok(Self::new(scopes)) }
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// Whether a holder of these scopes may do what needs that one.
#[must_use]
pub fn may(scopes: &Scopes, action: Scope) -> bool {
    let covers =
        |scope: Scope| scope == Scope::Admin || scope == action || scope.implied() == Some(action);
    scopes.iter().any(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_allow_what_they_name() {
        for scope in Scope::ALL {
            assert_eq!(Scope::from_name(scope.name()), Some(scope));
            let scopes = Scopes::new([scope]);
            let allowed: Vec<Scope> =
                Scope::ALL.into_iter().filter(|action| may(&scopes, *action)).collect();
            let expected = match scope {
                Scope::Admin => Scope::ALL.to_vec(),
                Scope::ServersWrite => vec![Scope::ServersRead, scope],
                Scope::MeetingsWrite => vec![Scope::MeetingsRead, scope],
                Scope::TenantsWrite => vec![Scope::TenantsRead, scope],
                Scope::RecordingsWrite => vec![Scope::RecordingsRead, scope],
                _ => vec![scope],
            };
            assert_eq!(allowed, expected, "{scope}");
            assert!(!may(&Scopes::default(), scope));
        }
    }

    #[test]
    fn lists_of_scopes_are_read() {
        let parse = |text: &str| Scopes::parse(text).map(|scopes| scopes.to_string());
        assert_eq!(parse(" admin,servers:read,admin,"), Ok("servers:read,admin".to_owned()));
        let all_reads = "servers:read,meetings:read,tenants:read,recordings:read,audit:read";
        assert_eq!(parse("read"), Ok(all_reads.to_owned()));
        assert_eq!(parse(" , "), Err(ScopeError::Empty));
        for text in ["Admin", "servers", "servers:*", "*"] {
            assert_eq!(parse(text), Err(ScopeError::Unknown(text.to_owned())));
        }
        assert!(parse("x").is_err_and(|error| error.to_string().contains("audit:read, admin")));
    }
}
