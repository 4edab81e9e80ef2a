//! Reads systemd units that start containers: variables, environment files, and the options of `docker run` or `podman run`.

use std::path::{Path, PathBuf};

use super::deployment::{Deployment, Mount, OtherVariable, interpolate, parse_volume};

/// Adds what a unit says.
pub fn read(
    path: &Path,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
    deployment: &mut Deployment,
) {
    let place = path.display().to_string();
    for line in join_lines(text) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = interpolate(value.trim(), variable);
        match key.trim() {
            "EnvironmentFile" => {
                deployment.env_files.push(PathBuf::from(value.trim_start_matches('-')));
            }
            "Environment" => {
                let words = split_words(&value);
                deployment
                    .variables
                    .extend(words.iter().filter_map(|word| parse_variable(word, &place)));
            }
            "ExecStart" | "ExecStartPre" => read_command(&split_words(&value), &place, deployment),
            _ => {}
        }
    }
}

/// The lines of a unit, without comments, and with those joined that end with a backslash.
fn join_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut is_continued = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (content, continues) = match line.strip_suffix('\\') {
            Some(content) => (content, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| is_continued) {
            Some(last) => {
                last.push(' ');
                last.push_str(content);
            }
            None => lines.push(content.to_owned()),
        }
        is_continued = continues;
    }
    lines
}

/// Splits at blanks that are not quoted.
fn split_words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut has_word = false;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                has_word = true;
            }
            (None, _) if character.is_whitespace() => {
                if has_word {
                    words.push(std::mem::take(&mut word));
                }
                has_word = false;
            }
            _ => {
                word.push(character);
                has_word = true;
            }
        }
    }
    words.extend(has_word.then_some(word));
    words
}

fn parse_variable(word: &str, place: &str) -> Option<OtherVariable> {
    let (name, value) = word.split_once('=')?;
    let [name, value, place] = [name, value, place].map(str::to_owned);
    Some(OtherVariable { name, value, place })
}

/// Reads the options of `docker run`, written as `--option=value` or `--option value`.
fn read_command(words: &[String], place: &str, deployment: &mut Deployment) {
    if !words.iter().any(|word| word == "run") {
        return;
    }
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((option, value)) => (option, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        if ![
            "-v",
            "--volume",
            "--mount",
            "-e",
            "--env",
            "--env-file",
            "-p",
            "--publish",
            "--user",
            "-u",
            "--name",
        ]
        .contains(&option)
        {
            continue;
        }
        let Some(value) = value.or_else(|| words.next().cloned()) else { return };
        match option {
            "-v" | "--volume" => deployment.mounts.extend(parse_volume(&value)),
            "--mount" => deployment.mounts.extend(parse_mount(&value)),
            "-e" | "--env" => deployment.variables.extend(parse_variable(&value, place)),
            "--env-file" => deployment.env_files.push(value.into()),
            "-p" | "--publish" => deployment.ports.push(value),
            "--name" => drop(deployment.services.insert(value)),
            _ => drop(deployment.users.insert(value)),
        }
    }
}

/// Parses `type=bind,source=/a,target=/b,readonly`.
fn parse_mount(text: &str) -> Option<Mount> {
    let find = |names: &[&str]| {
        let mut pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| names.contains(name)).map(|(_, value)| value.to_owned())
    };
    let source = find(&["source", "src"])?;
    Some(Mount { source, target: find(&["target", "dst", "destination"])?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_runs_a_container_is_read() {
        let text = "[Service]\n# Environment=NO=1\nEnvironmentFile=-/etc/default/scalelite\n\
                    Environment=A=1 \"B=two words\"\nExecStartPre=-/usr/bin/docker kill x\n\
                    ExecStart=/usr/bin/docker run --name scalelite-api \\\n  --env-file /etc/other.env \\\n  \
                    --mount type=bind,source=${SCALELITE_RECORDING_DIR}/spool,target=/var/bigbluebutton/spool,readonly \\\n  \
                    -v /mnt/p:/var/bigbluebutton/published:ro --publish=80:80 -e 'C=3 4' --user 1000:2000 image:tag\n";
        let variable =
            |name: &str| (name == "SCALELITE_RECORDING_DIR").then(|| "/mnt/r".to_owned());
        let mut deployment = Deployment::default();
        read(Path::new("/x.service"), text, &variable, &mut deployment);
        let values: Vec<_> =
            deployment.variables.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        assert_eq!(values, ["A=1", "B=two words", "C=3 4"]);
        let files = ["/etc/default/scalelite", "/etc/other.env"].map(Path::new);
        assert_eq!(deployment.env_files, files);
        let find = |path: &str| deployment.find_on_host(Path::new(path)).unwrap().unwrap();
        assert_eq!(find("/var/bigbluebutton/spool"), Path::new("/mnt/r/spool"));
        assert_eq!(find("/var/bigbluebutton/published/video"), Path::new("/mnt/p/video"));
        assert_eq!(
            (deployment.ports.as_slice(), deployment.users.len()),
            (&["80:80".to_owned()][..], 1)
        );
        assert!(deployment.services.contains("scalelite-api"));
    }
}
