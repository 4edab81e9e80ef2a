//! Tenants: users and meetings of the first ones by name, and all others together.

use std::collections::{BTreeMap, HashMap};

use app::App;
use app::ports::StoreError;

use crate::metrics::definitions::MetricId;
use crate::metrics::requests::{RequestMeters, TenantLabels};
use crate::metrics::values::MetricValues;

/// Reads what the store knows of tenants; nothing without multitenancy.
pub(super) async fn collect(
    app: &App,
    requests: &RequestMeters,
) -> Result<MetricValues, StoreError> {
    let mut values = MetricValues::default();
    if !app.policy.multitenancy {
        return Ok(values);
    }
    let tenants = app.tenant_cache.list_names().await?;
    let names: Vec<&str> = tenants.iter().map(|(_, name)| name.as_str()).collect();
    requests.set_tenants(&names);
    requests.collect_tenants(&mut values);
    let labels = TenantLabels::new(&names);
    let by_id: HashMap<&str, &str> =
        tenants.iter().map(|(id, name)| (id.as_str(), labels.label(name))).collect();
    let mut numbers: BTreeMap<&str, (u32, u32)> =
        by_id.values().map(|label| (*label, (0, 0))).collect();
    for meeting in app.pool.list_meetings(None).await? {
        let label = meeting.key.tenant.as_deref().and_then(|id| by_id.get(id));
        let Some((meetings, users)) = label.and_then(|label| numbers.get_mut(label)) else {
            continue;
        };
        *meetings = meetings.saturating_add(1);
        *users = users.saturating_add(meeting.load.users);
    }
    for (label, (meetings, users)) in numbers {
        values.set(MetricId::TenantMeetings, &[label], meetings.into());
        values.set(MetricId::TenantUsers, &[label], users.into());
    }
    Ok(values)
}
