//! What a setting is, and the macro that makes of the list in `settings` the type [`Config`](super::settings::Config) and the definitions.

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

macro_rules! settings {
    ($(
        $group:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty = $name:literal $([$($alias:literal),+])? or $default:literal; )+
        }
    )+) => {
        /// The values of all settings.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($( $(#[doc = $doc])+ pub $field: $type, )+)+
        }

        /// The definitions of all settings.
        pub const SETTINGS: &[Setting] = &[$($( Setting {
            name: $name,
            aliases: &[$($($alias),+)?],
            group: $group,
            default: $default,
            accepts: <$type as SettingValue>::ACCEPTS,
            secret: <$type as SettingValue>::SECRET,
            switch: <$type as SettingValue>::SWITCH,
            doc: concat!($($doc),+),
        }, )+)+];

        impl Config {
            /// Reads and checks all settings. Also returns them as text with their origins.
            ///
            /// # Errors
            /// When a value is not allowed and cannot be read as the original reads it. The message is one
            /// line with the setting, its value (unless secret) and the allowed values.
            pub fn read(sources: &Sources) -> Result<(Self, Vec<EffectiveSetting>), String> {
                let mut effective = Vec::new();
                let mut settings = SETTINGS.iter();
                let mut config = Self {
                    $($( $field: read_setting(sources, settings.next(), &mut effective)?, )+)+
                };
                config.check(&mut effective)?;
                Ok((config, effective))
            }

            /// The names of the settings that have another value here than there.
            pub fn list_differences(&self, other: &Self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $($( if self.$field != other.$field { names.push($name); } )+)+
                names
            }

            /// Takes the value of one setting from another configuration.
            pub fn copy_setting(&mut self, name: &str, other: &Self) {
                match name {
                    $($( $name => self.$field = other.$field.clone(), )+)+
                    _ => {}
                }
            }
        }
    };
}

pub(super) use settings;
