//! `generate`: writes the man pages and the completions of shells that packages contain. They are made from the tree of commands, so that
//! they never differ from it.

use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use super::CommandFailure;

/// In place of a directory.
const APPLY_SCHEMA: &str = "apply-schema";

/// Writes `man/*.1` and `completions/*` below a directory, or prints the schema of the files of `apply`.
pub fn run(command: &Command, dir: &Path) -> Result<(), CommandFailure> {
    if dir.as_os_str() == APPLY_SCHEMA {
        super::apply::print_schema();
        return Ok(());
    }
    write(command, dir)
        .map_err(|error| CommandFailure(format!("ERROR: {}: {error}", dir.display())))
}

fn write(command: &Command, dir: &Path) -> std::io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(command.clone(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command.clone(), "scalelite", &completions)?;
    }
    Ok(())
}
