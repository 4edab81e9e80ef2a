//! What those see who may not watch: a page in the language of the deployment, whose words operators can replace.

use std::collections::BTreeMap;
use std::path::Path;

use http::{Response, StatusCode, header};
use serde::Deserialize;

use super::delivery::set_security_headers;
use crate::http::respond::{self, ResponseBody};

/// Languages whose words come with the program; the form is that of the original's files.
const BUILT_IN_LOCALES: [&str; 4] = [
    include_str!("locales/de.yml"),
    include_str!("locales/en.yml"),
    include_str!("locales/es.yml"),
    include_str!("locales/fr.yml"),
];
/// Words for a language that nobody has any for.
const FALLBACK_LOCALE: &str = "en";

/// The page for what is not there.
#[derive(Clone, Debug)]
pub struct NotFoundPage(String);

/// `en: {errors: {recording_not_found: {title: …, info: …}}}`
type Locales = BTreeMap<String, LocaleTexts>;

#[derive(Clone, Debug, Default, Deserialize)]
struct LocaleTexts {
    #[serde(default)]
    errors: ErrorTexts,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ErrorTexts {
    recording_not_found: Option<NotFoundTexts>,
}

#[derive(Clone, Debug, Deserialize)]
struct NotFoundTexts {
    title: String,
    info: String,
}

impl NotFoundPage {
    /// The page in a language (`DEFAULT_LOCALE`), by the file `<language>.yml` of a directory, or by our own words.
    ///
    /// # Errors
    /// When there is such a file and it cannot be read, with its name.
    pub fn new(locale: &str, dir: Option<&Path>) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let locale = if locale.chars().all(plain) { locale } else { FALLBACK_LOCALE };
        let of_operator = dir.map(|dir| dir.join(format!("{locale}.yml"))).filter(|it| it.exists());
        if let Some(path) = of_operator {
            let wrong = |why: String| format!("{}: {why}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            if let Some(words) = read_texts(&text, locale).map_err(wrong)? {
                return Ok(Self::render(locale, &words));
            }
        }
        let ours = |locale: &str| {
            BUILT_IN_LOCALES.iter().find_map(|text| read_texts(text, locale).ok().flatten())
        };
        let (locale, words) = match ours(locale) {
            Some(words) => (locale, words),
            None => (FALLBACK_LOCALE, ours(FALLBACK_LOCALE).ok_or("no words at all")?),
        };
        Ok(Self::render(locale, &words))
    }

    fn render(locale: &str, words: &NotFoundTexts) -> Self {
        let (title, info) =
            (bbb::response::escape_xml(&words.title), bbb::response::escape_xml(&words.info));
        Self(format!(
            "<!DOCTYPE html>\n<html lang=\"{locale}\">\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n    \
             <h1 style=\"text-align: center;\">{title}</h1>\n    <h3 style=\"text-align: center;\">{info}</h3>\n    \
             <hr>\n  </body>\n</html>\n"
        ))
    }

    /// As an answer.
    pub(super) fn to_response(&self) -> Response<ResponseBody> {
        let mut response = respond::html(StatusCode::NOT_FOUND, self.0.clone());
        let nothing_else = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *";
        set_security_headers(response.headers_mut(), nothing_else);
        let no_store = http::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        response
    }
}

fn read_texts(text: &str, locale: &str) -> Result<Option<NotFoundTexts>, String> {
    let locales: Locales = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(locales.get(locale).and_then(|words| words.errors.recording_not_found.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(locale: &str, dir: Option<&Path>) -> String {
        NotFoundPage::new(locale, dir).unwrap().0
    }

    #[test]
    fn built_in_texts() {
        assert!(page("en", None).contains("<title>Recording Not Found</title>"));
        assert!(page("de", None).contains("<html lang=\"de\">"));
        assert_eq!(page("xx", None), page("en", None));
        assert_eq!(page("../en", None), page("en", None));
        for locale in ["de", "en", "es", "fr"] {
            assert!(page(locale, None).contains(&format!("lang=\"{locale}\"")));
        }
    }

    #[test]
    fn words_of_operators_win_and_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let text = "xx:\n  errors:\n    recording_not_found:\n      title: A <b>\n      info: I\n  more: 1\n";
        std::fs::write(dir.path().join("xx.yml"), text).unwrap();
        assert!(page("xx", Some(dir.path())).contains("<title>A &lt;b&gt;</title>"));
        assert_eq!(page("en", Some(dir.path())), page("en", None));
        std::fs::write(dir.path().join("en.yml"), "en:\n  hello: x\n").unwrap();
        assert_eq!(page("en", Some(dir.path())), page("en", None));
        std::fs::write(dir.path().join("en.yml"), "en: [").unwrap();
        assert!(NotFoundPage::new("en", Some(dir.path())).unwrap_err().contains("en.yml"));
    }
}
