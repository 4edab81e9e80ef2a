//! How the original is deployed, as far as its compose file and systemd units say: variables that do not stand in its
//! environment file, directories that are mounted into its containers, and names of services.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A variable that is set elsewhere than in the environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherVariable {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// Where it is set.
    pub place: String,
}

/// Something of this machine that a container has under another path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The path on this machine, or the name of a volume.
    pub source: String,
    /// The path in the container.
    pub target: PathBuf,
}

/// What is known of the deployment.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// Variables that are set in the compose file or a unit.
    pub variables: Vec<OtherVariable>,
    /// Environment files besides the one that is checked.
    pub env_files: Vec<PathBuf>,
    /// Directories in the containers.
    pub mounts: Vec<Mount>,
    /// Names of services and containers, which only containers can resolve.
    pub services: BTreeSet<String>,
    /// Published ports, as they are written.
    pub ports: Vec<String>,
    /// Users that containers run as.
    pub users: BTreeSet<String>,
}

impl Deployment {
    /// Where a path of a container is on this machine: by the mount that is closest to it. The inner error is the name of
    /// a volume, whose place only Docker knows. `None` if nothing is mounted there.
    pub fn find_on_host(&self, path: &Path) -> Option<Result<PathBuf, String>> {
        let above = self.mounts.iter().filter(|mount| path.starts_with(&mount.target));
        let mount = above.max_by_key(|mount| mount.target.components().count())?;
        if !mount.source.starts_with(['/', '.', '~']) {
            return Some(Err(mount.source.clone()));
        }
        let rest = path.strip_prefix(&mount.target).ok()?;
        let source = PathBuf::from(&mount.source);
        Some(Ok(if rest.as_os_str().is_empty() { source } else { source.join(rest) }))
    }
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME-default}`, as compose files and units have them.
pub fn interpolate(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let (mut result, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(literal) = after.strip_prefix('$') {
            result.push('$');
            rest = literal;
        } else if let Some((inner, remaining)) =
            after.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (name, operator) = inner.split_at(end.unwrap_or(inner.len()));
            let default = operator.trim_start_matches(':').strip_prefix('-');
            let value = variable(name).filter(|value| !value.is_empty());
            result.push_str(&value.or(default.map(str::to_owned)).unwrap_or_default());
            rest = remaining;
        } else {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let (name, remaining) = after.split_at(end.unwrap_or(after.len()));
            result.push_str(&variable(name).unwrap_or_default());
            rest = remaining;
        }
    }
    result.push_str(rest);
    result
}

/// Parses `source:target`, `source:target:options`; `None` without a source.
pub fn parse_volume(text: &str) -> Option<Mount> {
    let mut parts = text.split(':');
    let (source, target) = (parts.next()?, parts.next()?);
    target.starts_with('/').then(|| Mount { source: source.to_owned(), target: target.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_compose_does() {
        let variable = |name: &str| (name == "DIR").then(|| "/mnt/x".to_owned());
        for (text, expected) in [
            ("${DIR}/spool", "/mnt/x/spool"),
            ("$DIR:/var", "/mnt/x:/var"),
            ("${NO:-/d}/a", "/d/a"),
            ("${NO-/d}", "/d"),
            ("${NO}x", "x"),
            ("a$$b", "a$b"),
            ("${open", "{open"),
        ] {
            assert_eq!(interpolate(text, &variable), expected, "{text}");
        }
    }

    #[test]
    fn paths_of_containers_are_found_on_the_host() {
        let mut deployment = Deployment::default();
        deployment.mounts.extend(
            ["/mnt/r:/var/bigbluebutton:rw", "spool:/var/bigbluebutton/spool"]
                .into_iter()
                .filter_map(parse_volume),
        );
        let find = |path: &str| deployment.find_on_host(Path::new(path));
        assert_eq!(find("/var/bigbluebutton/published"), Some(Ok("/mnt/r/published".into())));
        assert_eq!(find("/var/bigbluebutton"), Some(Ok("/mnt/r".into())));
        assert_eq!(find("/var/bigbluebutton/spool/x"), Some(Err("spool".to_owned())));
        assert_eq!(find("/etc"), None);
        assert_eq!(parse_volume("/data"), None);
    }
}
