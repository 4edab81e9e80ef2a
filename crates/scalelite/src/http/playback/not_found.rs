//! The not-found page of playback, in the language of the deployment. Operators can replace its
//! texts.

use std::collections::BTreeMap;
use std::path::Path;

use askama::Template;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Deserialize;

use crate::http::respond::{self, ResponseBody};

/// Texts that the program contains, in the format of the original's files.
const BUILT_IN_LOCALES: [&str; 4] = [
    include_str!("locales/de.yml"),
    include_str!("locales/en.yml"),
    include_str!("locales/es.yml"),
    include_str!("locales/fr.yml"),
];
/// Language used if there are no texts in the configured one.
const FALLBACK_LOCALE: &str = "en";

/// The page for recordings that do not exist or may not be watched, rendered once at startup.
#[derive(Clone, Debug)]
pub struct NotFoundPage(String);

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFoundTemplate<'a> {
    locale: &'a str,
    title: &'a str,
    info: &'a str,
}

/// The format of the files: `en: {errors: {recording_not_found: {title: …, info: …}}}`
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
    /// Renders the page in a language (`DEFAULT_LOCALE`), with the texts of the file
    /// `<language>.yml` in `dir` or, without such texts, with built-in ones.
    ///
    /// # Errors
    /// If the file exists and cannot be read or parsed; the text names the file.
    pub fn new(locale: &str, dir: Option<&Path>) -> Result<Self, String> {
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let locale = if locale.chars().all(is_name_char) { locale } else { FALLBACK_LOCALE };
        let file = dir.map(|dir| dir.join(format!("{locale}.yml"))).filter(|file| file.exists());
        if let Some(file) = file {
            let with_name = |error: String| format!("{}: {error}", file.display());
            let text =
                std::fs::read_to_string(&file).map_err(|error| with_name(error.to_string()))?;
            if let Some(texts) = read_texts(&text, locale).map_err(with_name)? {
                return Self::render(locale, &texts);
            }
        }
        let built_in_texts = |locale: &str| {
            BUILT_IN_LOCALES.iter().find_map(|text| read_texts(text, locale).ok().flatten())
        };
        let (locale, texts) = match built_in_texts(locale) {
            Some(texts) => (locale, texts),
            None => {
                let texts = built_in_texts(FALLBACK_LOCALE);
                (FALLBACK_LOCALE, texts.ok_or("no texts for the not-found page")?)
            }
        };
        Self::render(locale, &texts)
    }

    fn render(locale: &str, texts: &NotFoundTexts) -> Result<Self, String> {
        let template = NotFoundTemplate { locale, title: &texts.title, info: &texts.info };
        template.render().map(Self).map_err(|error| error.to_string())
    }

    /// Returns the page as a response with status 404.
    pub(super) fn to_response(&self) -> Response<ResponseBody> {
        let mut response = respond::html(StatusCode::NOT_FOUND, self.0.clone());
        let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *";
        respond::set_security_headers(response.headers_mut(), HeaderValue::from_static(policy));
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        response
    }
}

fn read_texts(text: &str, locale: &str) -> Result<Option<NotFoundTexts>, String> {
    let locales: Locales = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    Ok(locales.get(locale).and_then(|texts| texts.errors.recording_not_found.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(locale: &str, dir: Option<&Path>) -> String {
        NotFoundPage::new(locale, dir).unwrap().0
    }

    #[test]
    fn built_in_texts_are_used_in_four_languages() {
        assert!(page("en", None).contains("<title>Recording Not Found</title>"));
        assert!(page("de", None).contains("<html lang=\"de\">"));
        assert_eq!(page("xx", None), page("en", None));
        assert_eq!(page("../en", None), page("en", None));
        for locale in ["de", "en", "es", "fr"] {
            assert!(page(locale, None).contains(&format!("lang=\"{locale}\"")));
        }
    }

    #[test]
    fn texts_of_operators_take_precedence_and_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let text = "xx:\n  errors:\n    recording_not_found:\n      title: A <b>\n      info: I\n  more: 1\n";
        std::fs::write(dir.path().join("xx.yml"), text).unwrap();
        assert!(page("xx", Some(dir.path())).contains("<title>A &#60;b&#62;</title>"));
        assert_eq!(page("en", Some(dir.path())), page("en", None));
        std::fs::write(dir.path().join("en.yml"), "en:\n  hello: x\n").unwrap();
        assert_eq!(page("en", Some(dir.path())), page("en", None));
        std::fs::write(dir.path().join("en.yml"), "en: [").unwrap();
        assert!(NotFoundPage::new("en", Some(dir.path())).unwrap_err().contains("en.yml"));
    }
}
