//! `docs/configuration.md`, written from the table of settings.

use std::fmt::Write as _;

use super::ignored_settings::{NOT_IMPLEMENTED, WITHOUT_EFFECT};
use super::settings::SETTINGS;

/// The whole page.
pub fn render_page() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         Written by `scalelite config --reference`; a test compares it with the program.\n\n\
         Every setting is an environment variable with the original's name, and a flag of every\n\
         command (`POLL_INTERVAL=30` is `--poll-interval 30`). A flag wins over the environment,\n\
         an empty value counts as unset. A secret may also stand in a file that\n\
         `NAME_FILE` names. `scalelite config` shows what is in force and where it came from. A value\n\
         that is not allowed stops the start.\n",
    );
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| setting | default | what it does |\n|---|---|---|\n"
            );
        }
        let default = match setting.default {
            "" => "unset".to_owned(),
            text => format!("`{text}`"),
        };
        let also: String = setting.aliases.iter().map(|alias| format!(" (or `{alias}`)")).collect();
        let (doc, accepts) = (setting.doc.trim(), setting.accepts);
        let _ =
            writeln!(page, "| `{}`{also} | {default} | {doc} Accepts {accepts}. |", setting.name);
    }
    page.push_str("\n## Settings of the original without effect\n\nThey are accepted and mean nothing here.\n\n| setting | why |\n|---|---|\n");
    for (name, why) in WITHOUT_EFFECT {
        let _ = writeln!(page, "| `{name}` | {why} |");
    }
    page.push_str("\n## Settings of the original whose feature is not built yet\n\nThey are accepted; `config` lists those that are set.\n\n");
    for name in NOT_IMPLEMENTED {
        let _ = writeln!(page, "- `{name}`");
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reference_is_up_to_date() {
        let kept = include_str!("../../../../docs/configuration.md");
        assert_eq!(kept, super::render_page(), "run `just gen`");
    }
}
