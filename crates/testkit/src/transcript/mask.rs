//! What is made up anew each time, under the names that the transcripts have for it.

use regex::Regex;

/// Addresses and ids, in both directions.
#[derive(Debug, Default)]
pub(super) struct Mask {
    /// For each server, from 1: its URL here, and its host.
    servers: Vec<(String, String)>,
    /// Ids in order of appearance.
    ids: Vec<String>,
}

impl Mask {
    pub(super) fn add_server(&mut self, url: String, host: String) {
        self.servers.push((url, host));
    }

    /// A text of a transcript, as it is typed here.
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

    /// What was said here, as it would stand in a transcript.
    pub(super) fn mask(&mut self, text: &str) -> anyhow::Result<String> {
        let mut text = text.to_owned();
        for (n, (url, host)) in (1..).zip(&self.servers) {
            text = text.replace(url, &recorded_url(n));
            // What is left of an address is a host alone.
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
        let known = self.ids.iter().position(|one| one == id);
        let at = known.unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        format!("<id-{}>", at + 1)
    }
}

fn recorded_url(n: usize) -> String {
    format!("http://bbb{n}.example.test/bigbluebutton/api")
}
