//! Copies tenants, their settings, servers and meetings.

use std::collections::HashSet;

use domain::{Meeting, Server, ServerId, Tenant, TenantChange, TenantSetting};

use super::copier::{CopyAction, StoreCopier, to_u64};
use super::counts::{MigratedKind, MigrationCounts};
use crate::ports::{ServerChange, StateStore, StoreError, TenantUpdateResult};

impl StoreCopier<'_> {
    pub(super) async fn copy_tenants(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Tenants);
        let tenants = self.source.state.list_tenants().await?;
        for tenant in &tenants {
            let existing = self.target.state.find_tenant(&tenant.id).await?;
            let action = CopyAction::compare(tenant, existing.as_ref());
            if self.count_entry(&mut counts, action, to_u64(tenants.len())) {
                write_tenant(self.target.state.as_ref(), tenant, action).await?;
                let written = self.target.state.find_tenant(&tenant.id).await?;
                counts.count_verified(written.as_ref() == Some(tenant), || {
                    format!("{} ({})", tenant.id, tenant.name)
                });
            }
        }
        Ok(counts)
    }

    pub(super) async fn copy_settings(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Settings);
        let settings = self.source.state.list_tenant_settings(None).await?;
        let existing = self.target.state.list_tenant_settings(None).await?;
        for setting in &settings {
            let action = CopyAction::compare(setting, find_setting(&existing, &setting.id));
            if self.count_entry(&mut counts, action, to_u64(settings.len())) {
                if action == CopyAction::Replace {
                    self.target.state.remove_tenant_setting(&setting.id).await?;
                }
                self.target.state.add_tenant_setting(setting.clone()).await?;
                let written = self.target.state.list_tenant_settings(Some(&setting.tenant)).await?;
                let is_equal = find_setting(&written, &setting.id) == Some(setting);
                counts.count_verified(is_equal, || setting.id.clone());
            }
        }
        Ok(counts)
    }

    pub(super) async fn copy_servers(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Servers);
        let servers = self.source.state.list_servers().await?;
        for server in &servers {
            let wanted = configured_fields(server);
            let existing = self.target.state.find_server(&server.id).await?;
            let action =
                CopyAction::compare(&wanted, existing.as_ref().map(configured_fields).as_ref());
            if self.count_entry(&mut counts, action, to_u64(servers.len())) {
                if action == CopyAction::Replace {
                    self.target.state.update_server(&server.id, configured_fields(server)).await?;
                } else {
                    self.target.state.add_server(server.clone()).await?;
                }
                let written = self.target.state.find_server(&server.id).await?;
                let is_equal = written.as_ref().map(configured_fields) == Some(wanted);
                counts.count_verified(is_equal, || server.id.to_string());
            }
        }
        Ok(counts)
    }

    pub(super) async fn copy_meetings(&mut self) -> Result<MigrationCounts, StoreError> {
        let mut counts = MigrationCounts::new(MigratedKind::Meetings);
        let servers = self.source.state.list_servers().await?;
        let servers: HashSet<ServerId> = servers.into_iter().map(|server| server.id).collect();
        let mut meetings = self.source.state.list_meetings(None).await?;
        // Meetings whose server was removed cannot be joined, and are not copied.
        meetings.retain(|meeting| servers.contains(&meeting.server));
        let target = self.target.state.as_ref();
        for meeting in &meetings {
            let wanted = placement_fields(meeting);
            let existing = find_meeting(target, meeting).await?;
            let action =
                CopyAction::compare(&wanted, existing.as_ref().map(placement_fields).as_ref());
            if self.count_entry(&mut counts, action, to_u64(meetings.len())) {
                if let Some(existing) = &existing {
                    target.forget_meeting(&existing.key, &existing.server, None, None).await?;
                }
                target.restore_meeting(meeting).await?;
                if let Some(kept) = self.source.state.find_kept_create(&meeting.key).await? {
                    target.keep_create(&meeting.key, &kept).await?;
                }
                let written = find_meeting(target, meeting).await?;
                let is_equal = written.as_ref().map(placement_fields) == Some(wanted);
                counts.count_verified(is_equal, || meeting.key.id.clone());
            }
        }
        Ok(counts)
    }
}

async fn write_tenant(
    target: &dyn StateStore,
    tenant: &Tenant,
    action: CopyAction,
) -> Result<(), StoreError> {
    if action == CopyAction::Copy {
        return target.add_tenant(tenant.clone()).await.map(drop);
    }
    let change = TenantChange {
        name: Some(tenant.name.clone()),
        secrets: Some(tenant.secrets.clone()),
        lrs: tenant.lrs.clone(),
    };
    let _: TenantUpdateResult = target.update_tenant(&tenant.id, change).await?;
    Ok(())
}

fn find_setting<'a>(settings: &'a [TenantSetting], id: &str) -> Option<&'a TenantSetting> {
    settings.iter().find(|setting| setting.id == id)
}

async fn find_meeting(
    store: &dyn StateStore,
    meeting: &Meeting,
) -> Result<Option<Meeting>, StoreError> {
    Ok(store.find_meeting(&meeting.key).await?.map(|found| found.meeting))
}

/// The fields of a server that administrators set. Polls and creates change the other ones.
fn configured_fields(server: &Server) -> ServerChange {
    let Server { url, join_url, secret, tag, state, load_multiplier, limits, .. } = server.clone();
    ServerChange {
        url: Some(url),
        join_url: Some(join_url),
        secret: Some(secret),
        tag: Some(tag),
        state: Some(state),
        load_multiplier: Some(load_multiplier),
        max_meetings: Some(limits.max_meetings),
        max_users: Some(limits.max_users),
        tier: Some(limits.tier),
    }
}

/// The fields of a meeting that must be equal in both stores. Polls change the other ones.
fn placement_fields(meeting: &Meeting) -> (String, Option<String>, Option<String>) {
    (meeting.server.0.clone(), meeting.moderator_pw.clone(), meeting.voice_bridge.clone())
}
