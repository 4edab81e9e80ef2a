//! The environment file: one file of settings for the server and for every command. `parser` reads its text; here it is
//! found and opened, and what is wrong with it is said.

mod parser;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use self::parser::Note;
use super::names;
use super::owner;

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "SCALELITE_ENV_FILE";
/// Where the file is looked for, if none is named. The second one is the original's.
pub const DEFAULT_FILES: [&str; 2] = ["/etc/scalelite/scalelite.env", "/etc/default/scalelite"];
/// Stands for no file.
const NO_FILE: &str = "/dev/null";
/// Longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where the file is, as far as somebody has said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChoice {
    /// Nobody has: one of these is read, the first that exists.
    Search(Vec<PathBuf>),
    /// This file, which must exist.
    Named(PathBuf),
}

impl Default for FileChoice {
    fn default() -> Self {
        Self::Search(DEFAULT_FILES.map(PathBuf::from).to_vec())
    }
}

/// The variables of an environment file.
#[derive(Clone)]
pub struct EnvFile {
    /// Where it is.
    pub path: PathBuf,
    /// Files that exist and are not read, because this one is.
    pub shadowed: Vec<PathBuf>,
    variables: BTreeMap<String, Variable>,
    notes: Vec<Note>,
}

/// A variable and the line that counts.
#[derive(Clone)]
struct Variable {
    value: String,
    line: usize,
}

impl EnvFile {
    /// The value of a variable, which may be empty, and where it stands: `FILE:LINE`.
    pub fn find(&self, name: &str) -> Option<(&str, String)> {
        let Variable { value, line } = self.variables.get(name)?;
        Some((value, format!("{}:{line}", self.path.display())))
    }

    /// The value of a variable, which may be empty.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(|variable| variable.value.as_str())
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// What is odd about the file: lines that are ignored, and settings that others would read differently.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let is_ours = |note: &&Note| note.name.as_deref().is_none_or(names::is_known);
        self.notes.iter().filter(is_ours).map(|note| {
            let name = note.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{}:{}: {name}{}", self.path.display(), note.line, note.text)
        })
    }

    fn build(path: &Path, shadowed: Vec<PathBuf>, bytes: &[u8]) -> Result<Self, String> {
        let parsed = parser::parse(bytes)?;
        let (mut notes, mut variables) = (parsed.notes, BTreeMap::<String, Variable>::new());
        for one in parsed.assignments {
            check_lines(&one.name, one.line, &one.value)?;
            let variable = Variable { value: one.value, line: one.line };
            if let Some(before) = variables.insert(one.name.clone(), variable)
                && before.value != variables[&one.name].value
            {
                let text = format!("it replaces the value in line {}", before.line);
                notes.push(Note { line: one.line, name: Some(one.name), text });
            }
        }
        notes.sort_by_key(|note| note.line);
        Ok(Self { path: path.to_owned(), shadowed, variables, notes })
    }
}

/// Refuses a value that has another setting in it: its quote is closed by the quote of a later line.
fn check_lines(name: &str, line: usize, value: &str) -> Result<(), String> {
    for (number, text) in (line..).zip(value.lines()).skip(1) {
        let word =
            text.split('=').next().filter(|word| word.len() < text.len()).unwrap_or_default();
        if names::is_known(word.trim()) {
            let word = word.trim();
            return Err(format!(
                "line {line}: {name}: the quote that begins there is not closed before {word} in line {number}"
            ));
        }
    }
    Ok(())
}

/// Reads the file; `None` if none is named and there is none.
///
/// # Errors
/// When it cannot be read or is no environment file. The message names it, with the line and without values.
pub fn read(choice: &FileChoice) -> Result<Option<EnvFile>, String> {
    let (path, others) = match choice {
        FileChoice::Named(path) if path == Path::new(NO_FILE) => return Ok(None),
        FileChoice::Named(path) => (path, &[][..]),
        FileChoice::Search(paths) => {
            let Some(at) = paths.iter().position(|path| may_exist(path)) else { return Ok(None) };
            (&paths[at], &paths[at + 1..])
        }
    };
    let bytes = read_bytes(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("{}: {error}: {}", path.display(), owner::advise_sudo(path))
        }
        _ => format!("{}: {error}", path.display()),
    })?;
    let shadowed = others.iter().filter(|path| may_exist(path)).cloned().collect();
    let file = EnvFile::build(path, shadowed, &bytes);
    file.map(Some).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether there is a file, as far as this user can see.
fn may_exist(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => !metadata.is_dir(),
        // The file may be there, and its settings must not be left out silently.
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        // A pipe or terminal might never end, and cannot be read again by a reload.
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        let reason =
            format!("it has more than {MAX_FILE_BYTES} bytes: this is no environment file");
        return Err(std::io::Error::other(reason));
    }
    Ok(bytes)
}

/// Says where the file was looked for, as the end of a sentence: `settings were read from …`.
pub fn describe_search(choice: &FileChoice, found: Option<&EnvFile>) -> String {
    match (choice, found) {
        (_, Some(file)) => format!("from the environment and {}", file.path.display()),
        (FileChoice::Named(_), None) => "from the environment only".to_owned(),
        (FileChoice::Search(paths), None) => {
            let mut text = "from the environment only: there is no".to_owned();
            for (index, path) in paths.iter().enumerate() {
                let _ =
                    write!(text, "{} {}", if index > 0 { " and no" } else { "" }, path.display());
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn named(path: &Path) -> FileChoice {
        FileChoice::Named(path.to_owned())
    }

    fn error(choice: &FileChoice) -> String {
        match read(choice) {
            Ok(_) => panic!("no error"),
            Err(error) => error,
        }
    }

    #[test]
    fn the_first_file_that_exists_is_read_and_others_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| dir.path().join(name));
        let search = FileChoice::Search(vec![first.clone(), second.clone()]);
        assert!(read(&search).unwrap().is_none());
        std::fs::write(&second, "PORT=1\nPORT=2\nOTHER=1\nOTHER=2\n").unwrap();
        let file = read(&search).unwrap().unwrap();
        assert_eq!((file.value("PORT"), file.path == second), (Some("2"), true));
        assert_eq!(file.find("PORT").unwrap().1, format!("{}:2", second.display()));
        let note = format!("{}:2: PORT: it replaces the value in line 1", second.display());
        assert_eq!(file.notes().collect::<Vec<_>>(), [note]);
        // Kubernetes and configuration managers put links there.
        symlink(&second, &first).unwrap();
        let file = read(&search).unwrap().unwrap();
        assert_eq!((file.path, file.shadowed), (first, vec![second]));
    }

    #[test]
    fn the_default_files_are_ours_and_the_original_s() {
        let files = ["/etc/scalelite/scalelite.env", "/etc/default/scalelite"];
        let expected = FileChoice::Search(files.map(PathBuf::from).to_vec());
        assert_eq!(FileChoice::default(), expected);
    }

    #[test]
    fn what_is_no_environment_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(error(&named(&path)).contains("No such file"));
        assert!(error(&named(dir.path())).ends_with(": it is not a file"));
        std::fs::write(&path, "#".repeat((4 << 20) + 1)).unwrap();
        assert!(error(&named(&path)).ends_with("4194304 bytes: this is no environment file"));
        std::fs::write(&path, "URL_HOST=\"lb.test\nPORT=\"3000\"\n").unwrap();
        let reason =
            ": line 1: URL_HOST: the quote that begins there is not closed before PORT in line 2";
        assert!(error(&named(&path)).ends_with(reason), "{}", error(&named(&path)));
        assert!(read(&named(Path::new("/dev/null"))).unwrap().is_none());
        assert!(error(&named(Path::new("/dev/zero"))).ends_with("it is not a file"));
    }
}
