//! Checks of rules that involve several settings.

use super::reading::EffectiveSetting;
use super::settings::Config;
use super::sources::SettingOrigin;
use super::values::{BindAddress, Secret};

/// Shortest token for metrics: anybody who reaches the API may try.
const MIN_TOKEN_BYTES: usize = 16;

impl Config {
    /// Checks the rules, and corrects what the original accepts.
    ///
    /// # Errors
    /// When a setting is missing that another one needs. The message names it.
    pub(super) fn check(&mut self, effective: &mut [EffectiveSetting]) -> Result<(), String> {
        self.read_open_dial_in(effective);
        let mut warn = |name: &str, used: Option<String>, warning: String| {
            for setting in effective.iter_mut().filter(|one| one.setting.name == name) {
                setting.value = used.clone().unwrap_or_else(|| setting.value.clone());
                setting.warning = Some(format!("{name}: {warning}"));
            }
        };
        if self.voice_bridge_min.0 > self.voice_bridge_max.0 {
            let (min, max) = (self.voice_bridge_min.0, self.voice_bridge_max.0);
            let problem =
                format!("`{min}` is not allowed, it must be at most VOICE_BRIDGE_MAX ({max})");
            warn("VOICE_BRIDGE_MIN", Some(max.to_string()), format!("{problem}: {max} is used"));
            self.voice_bridge_min = self.voice_bridge_max;
        }
        if self.is_dial_in_open() {
            let warning = "it is set to nothing: everybody may ask /fsapi".to_owned();
            warn("FSAPI_PASSWORD", None, warning);
        }
        if self.https_redirect && !self.has_tls() {
            warn("HTTPS_REDIRECT", None, "it has no effect without TLS_CERT or ACME".to_owned());
        }
        let cdn = [
            ("CF_KEY_PAIR_ID", self.cf_key_pair_id.is_some()),
            ("CF_PRIVATE_KEY_B64", self.cf_private_key_b64.is_some()),
        ];
        if self.cloudfront_url.is_some() {
            require_all_set(&cdn, "CloudFront")?;
        } else {
            for (name, _) in cdn.iter().filter(|(_, is_set)| *is_set) {
                warn(name, None, "it has no effect without CLOUDFRONT_URL".to_owned());
            }
        }
        self.derive_recording_dirs(effective);
        self.check_hosts()?;
        self.check_management()?;
        self.check_metrics()?;
        self.check_notifications()?;
        self.check_tls()?;
        if self.s3_recording { self.check_s3() } else { Ok(()) }
    }

    /// A password that is set to nothing is another choice than one that is not set.
    fn read_open_dial_in(&mut self, effective: &[EffectiveSetting]) {
        let is_set = |one: &EffectiveSetting| {
            one.setting.name == "FSAPI_PASSWORD" && one.origin != SettingOrigin::Default
        };
        if self.fsapi_password.is_none() && effective.iter().any(is_set) {
            self.fsapi_password = Some(Secret(String::new()));
        }
    }

    /// Whether the password of FreeSWITCH is set to nothing.
    fn is_dial_in_open(&self) -> bool {
        self.fsapi_password.as_ref().is_some_and(|Secret(password)| password.is_empty())
    }

    fn check_hosts(&self) -> Result<(), String> {
        let same = self.playback_host.as_ref().zip(self.url_host.as_ref());
        match same.filter(|(playback, url)| playback.host().eq_ignore_ascii_case(url.host())) {
            Some(_) => Err("PLAYBACK_HOST: it must be another host than URL_HOST".to_owned()),
            None => Ok(()),
        }
    }

    fn check_management(&self) -> Result<(), String> {
        if self.management_reveal_secret.is_some()
            && self.management_reveal_secret == self.management_secret
        {
            let problem = "it must be another secret than MANAGEMENT_SECRET";
            return Err(format!("MANAGEMENT_REVEAL_SECRET: {problem}"));
        }
        match &self.management_bind {
            Some(BindAddress::Tcp(_, None)) => {
                Err("MANAGEMENT_BIND: it must have a port".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_notifications(&self) -> Result<(), String> {
        let url = self.notify_webhook_url.as_ref().map(|Secret(url)| url.as_str());
        let is_usable =
            |url: &str| domain::server::hostname(url).is_some_and(|host| !host.is_empty());
        if url.is_some_and(|url| !is_usable(url)) {
            return Err("NOTIFY_WEBHOOK_URL: it must be an http:// or https:// URL".to_owned());
        }
        let mail = [
            ("NOTIFY_SMTP_URL", self.notify_smtp_url.is_some()),
            ("NOTIFY_EMAIL_TO", self.notify_email_to.is_some()),
            ("NOTIFY_EMAIL_FROM", self.notify_email_from.is_some()),
        ];
        match mail.iter().any(|(_, is_set)| *is_set) {
            true => require_all_set(&mail, "e-mail"),
            false => Ok(()),
        }
    }

    fn check_metrics(&self) -> Result<(), String> {
        if let Some(BindAddress::Tcp(_, None)) = self.metrics_bind {
            return Err("METRICS_BIND: it must have a port".to_owned());
        }
        let token = self.metrics_token.as_ref().map(|Secret(token)| token.as_str());
        let is_sendable = |token: &str| {
            token.bytes().all(|byte| byte.is_ascii_graphic()) && token.len() >= MIN_TOKEN_BYTES
        };
        match token.filter(|token| !token.is_empty() && !is_sendable(token)) {
            Some(_) => Err(format!(
                "METRICS_TOKEN: it must have {MIN_TOKEN_BYTES} characters at least, none of them a space or beyond ASCII"
            )),
            None => Ok(()),
        }
    }

    /// Checks that everything is set that a bucket needs.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn check_s3(&self) -> Result<(), String> {
        let needed = [
            ("S3_BUCKET_NAME", self.s3_bucket_name.is_some()),
            ("AWS_ACCESS_KEY_ID", self.aws_access_key_id.is_some()),
            ("AWS_SECRET_ACCESS_KEY", self.aws_secret_access_key.is_some()),
        ];
        require_all_set(&needed, "S3_RECORDING")
    }
}

/// Fails if one of the settings, given with whether it is set, is missing although a feature needs it.
fn require_all_set(needed: &[(&str, bool)], feature: &str) -> Result<(), String> {
    match needed.iter().find(|(_, is_set)| !is_set) {
        Some((name, _)) => Err(format!("{name}: it must be set, {feature} needs it")),
        None => Ok(()),
    }
}
