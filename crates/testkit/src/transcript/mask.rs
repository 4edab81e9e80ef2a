//! Replaces values that are generated anew each time by the placeholders of the transcripts, and
//! back.

use regex::Regex;

/// Addresses and ids, in both directions.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// The URL and the host of each server in this run.
    servers: Vec<(String, String)>,
    /// Generated ids, in the order in which they appeared.
    ids: Vec<String>,
}

impl Mask {
    pub(super) fn add_server(&mut self, url: String, host: String) {
        self.servers.push((url, host));
    }

    /// Replaces the placeholders of a transcript's text by the values of this run.
    pub(super) fn unmask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (n, (url, _)) in (1..).zip(&self.servers) {
            text = text.replace(&recorded_url(n), url);
        }
        for (n, id) in (1..).zip(&self.ids) {
            text = text.replace(&format!("<id-{n}>"), id);
        }
        text
    }

    /// Replaces the values of this run by placeholders.
    pub(super) fn mask(&mut self, text: &str) -> anyhow::Result<String> {
        let mut text = text.to_owned();
        for (n, (url, host)) in (1..).zip(&self.servers) {
            text = text.replace(url, &recorded_url(n));
            // A host without a URL.
            text = text.replace(host, &format!("bbb{n}.example.test"));
        }
        let internal = Regex::new(r"\b[0-9a-f]{40}-[0-9]{13}\b")?;
        let text = internal.replace_all(&text, "<internal-id>");
        let date = Regex::new(r"(Created Date: )\w{3} \w{3} \d{2} [\d:]{8} UTC \d{4}\b")?;
        let text = date.replace_all(&text, "${1}<date>");
        let uuid = Regex::new(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")?;
        let text =
            uuid.replace_all(&text, |found: &regex::Captures<'_>| self.id_placeholder(&found[0]));
        Ok(text.into_owned())
    }

    fn id_placeholder(&mut self, id: &str) -> String {
        let known = self.ids.iter().position(|known| known == id);
        let index = known.unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        format!("<id-{}>", index + 1)
    }
}

fn recorded_url(n: usize) -> String {
    format!("http://bbb{n}.example.test/bigbluebutton/api")
}
