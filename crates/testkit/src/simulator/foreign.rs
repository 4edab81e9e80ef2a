//! Other balancers on the same servers: the original beside this one, or a trial beside production.
//! They create meetings, with ids of their own and with ours, and with voice bridges that follow from
//! the public rule or do not. They repeat creates, and end what they have made.

use bbb::checksum::sign_query;
use bbb::{Algorithm, Query};
use domain::MeetingKey;
use domain::voice_bridge::generate_candidates;

use super::entries::server_host;
use super::scenario::Scenario;
use super::sim_run::SimRun;
use super::sim_server::SimServer;
use super::use_case::meeting_name;
use crate::seeded_rng::SeededRng;

/// What another balancer does on a server.
#[derive(Clone, Debug)]
pub(crate) enum ForeignStep {
    /// It creates a meeting, or repeats the create.
    Create(MeetingKey, String),
    /// It ends one of its meetings; the number chooses which.
    End(usize),
    /// Users join one of its meetings.
    Join(usize, u64),
    /// A user leaves one of its meetings.
    Leave(usize),
}

/// Draws a step of another balancer, and the server. `key` is a meeting that may be one of ours.
pub(crate) fn draw_step(
    rng: &mut SeededRng,
    scenario: &Scenario,
    key: MeetingKey,
) -> (String, ForeignStep) {
    let host = server_host(rng.draw_index(scenario.servers) + 1);
    let number = rng.draw_index(100);
    let step = match rng.draw_u64(0, 99) {
        0..45 => {
            let key = if rng.draw_percent(50) { own_key(rng, &key) } else { key };
            let bridge = draw_bridge(rng, scenario, &key.id);
            ForeignStep::Create(key, bridge)
        }
        45..60 => ForeignStep::End(number),
        60..90 => ForeignStep::Join(number, rng.draw_u64(1, 6)),
        _ => ForeignStep::Leave(number),
    };
    (host, step)
}

/// Returns the key of a meeting of its own, that no front-end of ours knows. One in two names no
/// tenant.
fn own_key(rng: &mut SeededRng, key: &MeetingKey) -> MeetingKey {
    let tenant = key.tenant.clone().filter(|_| rng.draw_percent(50));
    MeetingKey { tenant, id: format!("foreign-{}", rng.draw_u64(1, 6)) }
}

fn draw_bridge(rng: &mut SeededRng, scenario: &Scenario, id: &str) -> String {
    let policy = scenario.policy().voice_bridge;
    let by_rule = generate_candidates(policy, id, None).into_iter().next();
    by_rule
        .filter(|_| rng.draw_percent(60))
        .unwrap_or_else(|| rng.draw_u64(60_000, 69_999).to_string())
}

/// Performs a step of another balancer.
pub(crate) fn perform_step(sim: &SimRun, host: &str, step: &ForeignStep) {
    let now = sim.now();
    let mut sim_servers = sim.servers();
    let Some(sim_server) = sim_servers.get_mut(host) else { return };
    sim_server.advance(now);
    if sim_server.down_until.is_some() {
        return;
    }
    match step {
        ForeignStep::Create(key, bridge) => {
            let query = create_query(sim_server, key, bridge);
            let effect = sim_server.answer_call("create", &query, now, now);
            drop(sim_servers);
            if let Some(key) = effect.started_meeting {
                sim.count_event("foreign meetings");
                sim.write_trace(|| {
                    format!("another balancer started {} on {host}", meeting_name(&key))
                });
            }
        }
        ForeignStep::End(number) => {
            let Some(key) = nth_foreign_meeting(sim_server, *number) else { return };
            sim_server.end_by_its_owner(&key.id, now);
            drop(sim_servers);
            sim.count_event("foreign ends");
            sim.write_trace(|| format!("another balancer ended {} on {host}", meeting_name(&key)));
        }
        ForeignStep::Join(number, users) => {
            let key = nth_foreign_meeting(sim_server, *number);
            let found = key.and_then(|key| sim_server.meetings.get_mut(&key.id));
            if let Some(sim_meeting) = found {
                (0..*users).for_each(|_| sim_meeting.add_user(now));
            }
        }
        ForeignStep::Leave(number) => {
            let key = nth_foreign_meeting(sim_server, *number);
            if let Some(sim_meeting) = key.and_then(|key| sim_server.meetings.get_mut(&key.id)) {
                sim_meeting.remove_user(now);
            }
        }
    }
}

fn create_query(sim_server: &SimServer, key: &MeetingKey, bridge: &str) -> String {
    let mut query = Query::default();
    for (name, value) in [
        ("meetingID", key.id.as_str()),
        ("attendeePW", "ap-foreign"),
        ("moderatorPW", "mp-foreign"),
        ("voiceBridge", bridge),
    ] {
        query.set(name, value);
    }
    if let Some(tenant) = &key.tenant {
        query.set("meta_tenant-id", tenant);
    }
    sign_query("create", &query.to_text(), &sim_server.secret, Algorithm::Sha256)
}

fn nth_foreign_meeting(sim_server: &SimServer, number: usize) -> Option<MeetingKey> {
    let foreign = sim_server.meetings.values().filter(|sim_meeting| sim_meeting.is_foreign());
    let keys: Vec<MeetingKey> = foreign.map(|sim_meeting| sim_meeting.key.clone()).collect();
    keys.get(number % keys.len().max(1)).cloned()
}
