//! Builds what sends notifications, as the settings say it.

use std::sync::Arc;

use adapters::entropy::{OsEntropy, SystemClock};
use adapters::local_time::minute_of_day;
use adapters::notifications::{Mail, MailSettings, Webhook};
use app::notifications::{NotificationCenter, NotificationRules};
use app::ports::NotificationSender;

use super::WiringError;
use crate::config::Config;
use crate::config::values::{PublicHost, QuietHoursSetting, Secret};

/// Builds the center; `None` if no channel is set.
///
/// # Errors
/// When a setting cannot be used.
pub fn build_center(config: &Config) -> Result<Option<Arc<NotificationCenter>>, WiringError> {
    let mut senders: Vec<Arc<dyn NotificationSender>> = Vec::new();
    if let Some(Secret(url)) = &config.notify_webhook_url {
        let secret = config.notify_webhook_secret.as_ref().map(|Secret(secret)| secret.clone());
        senders.push(Arc::new(Webhook::new(url.clone(), secret, config.notify_allow.0.clone())));
    }
    if let Some(Secret(url)) = &config.notify_smtp_url {
        let text = |setting: &'_ Option<String>| setting.clone().unwrap_or_default();
        let (from, to) = (text(&config.notify_email_from), text(&config.notify_email_to));
        let mail = Mail::new(&MailSettings { url, from: &from, to: &to });
        senders.push(Arc::new(mail.map_err(WiringError::Setting)?));
    }
    if senders.is_empty() {
        return Ok(None);
    }
    let rules = NotificationRules {
        balancer: host_name(),
        console: config
            .url_host
            .as_ref()
            .map(PublicHost::authority)
            .map(|host| format!("https://{host}")),
        quiet_hours: config.notify_quiet_hours.map(|QuietHoursSetting(hours)| hours),
        minute_of_day,
    };
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    Ok(Some(Arc::new(NotificationCenter::new(senders, rules, clock, entropy))))
}

/// The name of this machine.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
