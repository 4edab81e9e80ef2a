//! The command line of rake: tasks, options and settings, as its users write them.

use crate::cmd::CommandFailure;

/// What a call of rake asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum RakeCall {
    /// Run these tasks, one after the other.
    Run(Vec<RakeTask>),
    /// Name these tasks without running them.
    DryRun(Vec<RakeTask>),
    /// List the tasks whose names contain this text.
    List(String),
    /// Print the version.
    Version,
}

/// A task with its arguments: `name[a,b]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RakeTask {
    /// The name.
    pub name: String,
    /// The arguments, which may be empty.
    pub arguments: TaskArguments,
}

/// The arguments of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskArguments(pub Vec<String>);

impl TaskArguments {
    /// The argument with this index, which may be empty.
    pub fn get_raw(&self, index: usize) -> Option<String> {
        self.0.get(index).cloned()
    }

    /// The argument with this index, unless it is empty.
    pub fn get(&self, index: usize) -> Option<String> {
        self.get_raw(index).filter(|argument| !argument.is_empty())
    }

    /// The first `N` arguments.
    pub fn first<const N: usize>(&self) -> [Option<String>; N] {
        std::array::from_fn(|index| self.get(index))
    }

    /// The first argument, which may be empty.
    pub fn id(&self) -> String {
        self.get_raw(0).unwrap_or_default()
    }

    /// Whether a switch is on: it is given, and not `n`, `no` or `false`.
    pub fn is_on(&self, index: usize) -> bool {
        self.get(index).is_some_and(|argument| !["n", "no", "false"].contains(&argument.as_str()))
    }

    /// All arguments that are not empty.
    pub fn non_empty(&self) -> Vec<String> {
        self.0.iter().filter(|argument| !argument.is_empty()).cloned().collect()
    }
}

/// Options that list the tasks.
const LIST_OPTIONS: [&str; 11] =
    ["-T", "--tasks", "-AT", "-A", "--all", "-D", "--describe", "-P", "--prereqs", "-W", "--where"];
/// Options that change what rake says about its own work, of which there is nothing here.
const IGNORED_OPTIONS: [&str; 12] = [
    "-s",
    "--silent",
    "-q",
    "--quiet",
    "-v",
    "--verbose",
    "-t",
    "--trace",
    "--backtrace",
    "-m",
    "--multitask",
    "--",
];
/// Options with a value that has no meaning here.
const IGNORED_WITH_VALUE: [&str; 4] = ["-f", "--rakefile", "-j", "--jobs"];

/// Parses the command line. The message names the part that is not understood.
pub fn parse_command_line(words: &[String]) -> Result<RakeCall, CommandFailure> {
    let (mut tasks, mut is_dry_run, mut is_list, mut is_version) =
        (Vec::new(), false, false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let option = word.split('=').next().unwrap_or(word);
        match word.as_str() {
            "-n" | "--dry-run" => is_dry_run = true,
            "-V" | "--version" => is_version = true,
            _ if LIST_OPTIONS.contains(&option) => is_list = true,
            _ if IGNORED_OPTIONS.contains(&option) => {}
            _ if IGNORED_WITH_VALUE.contains(&option) => {
                if !word.contains('=') {
                    words.next();
                }
            }
            _ if word.starts_with('-') => {
                return Err(CommandFailure(format!("ERROR: unknown option {word}")));
            }
            _ if is_assignment(word) => {}
            task => tasks.push(parse_task(task).ok_or_else(|| {
                CommandFailure(format!("ERROR: `{task}` is not a task of the form name[a,b]"))
            })?),
        }
    }
    if is_version {
        return Ok(RakeCall::Version);
    }
    if is_list || tasks.is_empty() {
        let pattern = tasks.into_iter().next().map(|task| task.name);
        return Ok(RakeCall::List(pattern.unwrap_or_default()));
    }
    Ok(if is_dry_run { RakeCall::DryRun(tasks) } else { RakeCall::Run(tasks) })
}

/// Whether a word sets a variable, such as `RAILS_ENV=production`. Rails' variables have no meaning here.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map_or("", |(name, _)| name);
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Splits `name[a,b]` into the name and the arguments. Blanks around commas are removed.
fn parse_task(task: &str) -> Option<RakeTask> {
    let (name, arguments) = match task.split_once('[') {
        None => (task, Vec::new()),
        Some((name, rest)) => {
            let list = rest.strip_suffix(']')?;
            (name.trim(), list.split(',').map(|argument| argument.trim().to_owned()).collect())
        }
    };
    Some(RakeTask { name: name.to_owned(), arguments: TaskArguments(arguments) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> RakeCall {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        parse_command_line(&words).unwrap()
    }

    fn task(name: &str, arguments: &[&str]) -> RakeTask {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        RakeTask { name: name.to_owned(), arguments: TaskArguments(arguments) }
    }

    #[test]
    fn tasks_are_parsed() {
        for (line, tasks) in [
            ("servers", vec![task("servers", &[])]),
            ("servers:add[u , s]", vec![task("servers:add", &["u", "s"])]),
            ("servers:update[i,s,1,]", vec![task("servers:update", &["i", "s", "1", ""])]),
            (
                "RAILS_ENV=production|-s|--trace|servers|-f|Rakefile|status",
                vec![task("servers", &[]), task("status", &[])],
            ),
            ("servers:add[u,s=1]", vec![task("servers:add", &["u", "s=1"])]),
        ] {
            assert_eq!(parse(line), RakeCall::Run(tasks), "{line}");
        }
        assert!(parse_command_line(&["servers:add[u".to_owned()]).is_err());
        assert!(parse_command_line(&["--nonsense".to_owned()]).is_err());
    }

    #[test]
    fn options_that_run_nothing_run_nothing() {
        assert_eq!(
            parse("-n|servers:panic[x]"),
            RakeCall::DryRun(vec![task("servers:panic", &["x"])])
        );
        assert_eq!(parse("-T"), RakeCall::List(String::new()));
        assert_eq!(parse("--tasks|servers"), RakeCall::List("servers".to_owned()));
        assert_eq!(parse("RAILS_ENV=production"), RakeCall::List(String::new()));
        assert_eq!(parse("--version|servers"), RakeCall::Version);
    }

    #[test]
    fn switches_are_on_unless_they_are_negated() {
        for (text, is_on) in [
            ("true", true),
            ("verbose", true),
            ("1", true),
            ("", false),
            ("no", false),
            ("false", false),
        ] {
            assert_eq!(TaskArguments(vec![text.to_owned()]).is_on(0), is_on, "{text}");
        }
        assert!(!TaskArguments::default().is_on(0));
    }
}
