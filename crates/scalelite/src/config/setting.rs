//! What is known of a setting besides its value.

/// The definition of a setting, without its value.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Name of its environment variable.
    pub name: &'static str,
    /// Other accepted names.
    pub aliases: &'static [&'static str],
    /// Heading under which the reference lists it.
    pub group: &'static str,
    /// Default value as text; empty if it is unset by default.
    pub default: &'static str,
    /// Accepted values, as the end of the sentence "it must be …".
    pub accepts: &'static str,
    /// Whether its value is hidden in all output.
    pub secret: bool,
    /// Whether it is a boolean, so that its flag needs no value.
    pub switch: bool,
    /// Description for the reference and for `--help`.
    pub doc: &'static str,
}

impl Setting {
    /// The name of its command-line flag, without the leading dashes.
    pub fn flag(&self) -> String {
        let name = self.name.strip_prefix("SCALELITE_").unwrap_or(self.name);
        name.to_ascii_lowercase().replace('_', "-")
    }

    /// All names, the preferred one first.
    pub fn names(&self) -> Vec<&'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied()).collect()
    }
}
