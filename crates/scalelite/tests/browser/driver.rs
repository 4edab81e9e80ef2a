//! A headless Chromium that a test steers through its driver.

use std::process::Stdio;

use anyhow::Context as _;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use testkit::private::free_port;
use testkit::product::wait_until;
use tokio::process::{Child, Command};

/// A browser. It ends when it is dropped.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(id) = self.driver.id() {
            let kill = format!("kill -KILL -{id}");
            let _ = std::process::Command::new("sh").args(["-c", &kill]).status();
        }
    }
}

impl Browser {
    /// Starts a browser with a window of this size.
    pub(crate) async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let port = free_port()?;
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            // The browser is in the same group, so that both end together.
            .process_group(0)
            .spawn()
            .context("chromedriver is not installed: bin/test installs it")?;
        let is_listening =
            async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        wait_until("chromedriver listens", is_listening).await?;
        let options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                format!("--window-size={width},{height}"),
            ],
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await?;
        Ok(Self { client, driver })
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// The text of the page.
    pub(crate) async fn text(&self) -> anyhow::Result<String> {
        let text = self.run("return document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the page shows a text.
    pub(crate) async fn wait_for_text(&self, text: &str) -> anyhow::Result<()> {
        let shows = async || self.text().await.is_ok_and(|shown| shown.contains(text));
        if wait_until(text, shows).await.is_err() {
            anyhow::bail!("`{text}` is not shown: {}", self.text().await?);
        }
        Ok(())
    }
}
