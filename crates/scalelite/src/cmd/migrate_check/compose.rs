//! Reads a docker-compose.yml as far as it matters for a migration. Unknown keys are ignored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::deployment::{Deployment, Mount, OtherVariable, interpolate, parse_volume};

#[derive(Debug, Default, Deserialize)]
struct ComposeFile {
    #[serde(default)]
    services: BTreeMap<String, ComposeService>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ComposeService {
    container_name: Option<String>,
    hostname: Option<String>,
    user: Option<Scalar>,
    environment: Option<Variables>,
    env_file: Option<FileList>,
    volumes: Vec<Volume>,
    ports: Vec<Port>,
}

/// Text, or what YAML takes for a number or a truth value.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Integer(i64),
    Real(f64),
    Truth(bool),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Variables {
    List(Vec<String>),
    Map(BTreeMap<String, Option<Scalar>>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FileList {
    One(String),
    Many(Vec<FileEntry>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FileEntry {
    Path(String),
    Long { path: String },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Volume {
    Short(String),
    Long { source: Option<String>, target: Option<String> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Port {
    Scalar(Scalar),
    Long { published: Option<Scalar>, target: Option<Scalar> },
}

/// Adds what a compose file says.
///
/// # Errors
/// When it cannot be read.
pub fn read(
    path: &Path,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    deployment: &mut Deployment,
) -> Result<(), String> {
    let file: ComposeFile = serde_saphyr::from_str(text)
        .map_err(|_| format!("{}: cannot be read as a compose file", path.display()))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    let fill = |text: &str| interpolate(text, variable);
    for (name, service) in file.services {
        let place = format!("{}, service {name}", path.display());
        let names = [Some(name), service.container_name, service.hostname];
        deployment.services.extend(names.into_iter().flatten());
        deployment.users.extend(service.user.map(|user| fill(&user.text())));
        for (name, value) in list_variables(service.environment) {
            let value = value.map(|value| fill(&value)).or_else(|| variable(&name));
            deployment.variables.extend(value.map(|value| OtherVariable {
                name,
                value,
                place: place.clone(),
            }));
        }
        let files = match service.env_file {
            None => Vec::new(),
            Some(FileList::One(path)) => vec![path],
            Some(FileList::Many(entries)) => entries
                .into_iter()
                .map(|entry| match entry {
                    FileEntry::Path(path) | FileEntry::Long { path } => path,
                })
                .collect(),
        };
        deployment.env_files.extend(files.iter().map(|file| dir.join(fill(file))));
        deployment.mounts.extend(service.volumes.into_iter().filter_map(|volume| {
            let mount = match volume {
                Volume::Short(text) => parse_volume(&fill(&text))?,
                Volume::Long { source, target } => {
                    Mount { source: fill(&source?), target: PathBuf::from(fill(&target?)) }
                }
            };
            // Paths are relative to the compose file.
            let is_relative = mount.source.starts_with('.');
            let source = dir.join(&mount.source).display().to_string();
            Some(if is_relative { Mount { source, ..mount } } else { mount })
        }));
        deployment.ports.extend(service.ports.into_iter().filter_map(|port| match port {
            Port::Scalar(text) => Some(fill(&text.text())),
            Port::Long { published, target } => {
                Some(format!("{}:{}", published?.text(), target?.text()))
            }
        }));
    }
    Ok(())
}

/// The variables with their values; without a value, the one of the shell counts.
fn list_variables(variables: Option<Variables>) -> Vec<(String, Option<String>)> {
    match variables {
        None => Vec::new(),
        Some(Variables::List(list)) => list
            .into_iter()
            .map(|line| match line.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (line, None),
            })
            .collect(),
        Some(Variables::Map(map)) => {
            map.into_iter().map(|(name, value)| (name, value.map(|value| value.text()))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compose_file_is_read() {
        let text = "version: '3'\nservices:\n  scalelite-api:\n    image: x\n    env_file: .env\n    \
                    environment:\n      - REDIS_URL=redis://redis:6379\n      - FROM_SHELL\n    volumes:\n      \
                    - ${SCALELITE_RECORDING_DIR:-/mnt/default}:/var/bigbluebutton\n  importer:\n    \
                    container_name: scalelite-importer\n    user: '1000:2000'\n    env_file:\n      - path: other.env\n    \
                    environment: {PORT: 3000, DB_DISABLED: false, EMPTY: }\n    volumes:\n      - type: bind\n        \
                    source: ./spool\n        target: /var/bigbluebutton/spool\n    ports: ['80:80', 443, {published: 1, target: 2}]\n  \
                    redis:\n    image: redis\nvolumes: {data: {}}\n";
        let variable = |name: &str| (name == "FROM_SHELL").then(|| "s".to_owned());
        let mut deployment = Deployment::default();
        read(Path::new("/srv/x/docker-compose.yml"), text, &variable, &mut deployment).unwrap();
        let values: Vec<_> =
            deployment.variables.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        assert_eq!(
            values,
            ["DB_DISABLED=false", "PORT=3000", "REDIS_URL=redis://redis:6379", "FROM_SHELL=s"]
        );
        assert!(
            ["redis", "scalelite-importer"].iter().all(|name| deployment.services.contains(*name))
        );
        assert_eq!(deployment.env_files, [Path::new("/srv/x/other.env"), Path::new("/srv/x/.env")]);
        let find = |path: &str| deployment.find_on_host(Path::new(path)).unwrap().unwrap();
        assert_eq!(find("/var/bigbluebutton/published"), Path::new("/mnt/default/published"));
        assert_eq!(find("/var/bigbluebutton/spool"), Path::new("/srv/x/./spool"));
        assert_eq!(deployment.ports, ["80:80", "443", "1:2"]);
        assert!(deployment.users.contains("1000:2000"));
        assert!(read(Path::new("x"), "services: [", &variable, &mut deployment).is_err());
        read(Path::new("x"), "services: {}", &variable, &mut deployment).unwrap();
    }
}
