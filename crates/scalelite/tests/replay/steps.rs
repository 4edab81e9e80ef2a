//! Repeats the recorded steps with the product. The name of a step in the recording says what to
//! do.

use crate::keyspace::Keyspace;
use crate::{read_fixture, start_environment};
use bbb_sim::{BbbPool, FaultMode, Preload};
use serde_json::{Value, json};
use testkit::private::Redis;
use testkit::product::{Product, SECRET, Setup, new_request, signed_target_with, wait_until};

/// The expected users of a new meeting, which a create adds to the load of its server (rule 7 of
/// the differences to the original).
const EXPECTED_USERS: f64 = 15.0;

/// A step with the keyspaces before and after it.
struct ReplayStep {
    name: String,
    before: Keyspace,
    after: Keyspace,
    /// Ids of the servers in the order in which they were added.
    servers: Vec<String>,
    /// Ids of tenants by the first name they had.
    tenants: Vec<(String, String)>,
}

pub(crate) async fn replay_recording(file: &str, settings: &[(&str, &str)]) {
    let (redis, pool, setup) = start_environment(settings).await;
    let mut differences = Vec::new();
    for step in read_steps(file, pool.server(1).port()) {
        differences.extend(replay_step(&redis, &pool, &setup, step).await);
    }
    let count = differences.len();
    assert!(differences.is_empty(), "{count} differences:\n{}", differences.join("\n"));
}

fn read_steps(file: &str, port: u16) -> Vec<ReplayStep> {
    let mut before = Keyspace::default();
    let (mut servers, mut tenants) = (Vec::new(), Vec::new());
    let mut steps = Vec::new();
    for step in read_fixture(file) {
        let after = Keyspace::from_recording(&step["keys"], port);
        let new: Vec<_> =
            after.members("servers").into_iter().filter(|id| !servers.contains(id)).collect();
        servers.extend(new);
        for id in after.members("tenants") {
            if !tenants.iter().any(|(_, known)| *known == id) {
                tenants.push((after.field(&format!("tenant:{id}"), "name"), id));
            }
        }
        steps.push(ReplayStep {
            name: step["step"].as_str().unwrap().to_owned(),
            before: before.clone(),
            after: after.clone(),
            servers: servers.clone(),
            tenants: tenants.clone(),
        });
        before = after;
    }
    steps
}

async fn replay_step(
    redis: &Redis,
    pool: &BbbPool,
    setup: &Setup,
    mut step: ReplayStep,
) -> Vec<String> {
    step.make_comparable();
    step.before.write_to(redis).await;
    step.prepare_servers(pool);
    let product = setup.start().await.unwrap();
    step.run_on(&product).await;
    // A join is counted after its response.
    let mut differences = Vec::new();
    let is_same = async || {
        let found = Keyspace::read_from(redis).await;
        differences = found.list_differences(&step.expected_keyspace(&found));
        differences.is_empty()
    };
    // The differences say more than the error.
    let _ = wait_until("as recorded", is_same).await;
    differences.into_iter().map(|line| format!("  {}: {line}", step.name)).collect()
}

impl ReplayStep {
    fn name_words(&self) -> Vec<&str> {
        self.name.split_whitespace().collect()
    }

    /// The id of the server whose number is in the step's name.
    fn server(&self) -> &str {
        let number: usize = self.name_words()[1].parse().unwrap();
        &self.servers[number - 1]
    }

    fn is_create(&self) -> bool {
        self.name.starts_with("create") && !self.name.contains("again")
    }

    fn meeting(&self) -> &str {
        self.name_words()[1]
    }

    /// Makes the recorded server of a new meeting the least loaded one, since the product chooses
    /// otherwise among equally loaded servers than the original.
    fn make_comparable(&mut self) {
        if !self.is_create() {
            return;
        }
        let chosen = self.after.field(&format!("meeting:{}", self.meeting()), "server_id");
        for keyspace in [&mut self.before, &mut self.after] {
            keyspace.change_scores(
                "server_load",
                |id, score| if id == chosen { score } else { score + 500.0 },
            );
        }
    }

    /// Gives the simulated servers the meetings that they had in the recording.
    fn prepare_servers(&self, pool: &BbbPool) {
        let is_poll = self.name.starts_with("poll") || self.name.contains("state=enable");
        let keyspace = if is_poll { &self.after } else { &self.before };
        for (id, server) in self.servers.iter().zip(pool.servers()) {
            server.clear_fault();
            server.drop_meetings(None);
            let key = format!("server:{id}");
            if keyspace.hash(&key).is_none() {
                continue;
            }
            let number = |name: &str| keyspace.field(&key, name).parse().unwrap_or(0_u32);
            let is_on_server = |meeting: &String| {
                let key = format!("meeting:{meeting}");
                keyspace.hash(&key).is_some() && keyspace.field(&key, "server_id") == *id
            };
            let mut ids: Vec<String> =
                keyspace.members("meetings").into_iter().filter(is_on_server).collect();
            if is_poll {
                // Meetings that only the server knows.
                ids.extend((ids.len()..number("meetings") as usize).map(|_| "M2".to_owned()));
            }
            for (n, meeting) in ids.into_iter().enumerate() {
                let users = if n == 0 { number("users") } else { 0 };
                let ids = vec![meeting];
                server.preload(Preload { ids, users, age_s: 60, ..Preload::default() });
            }
            let fails = self.name.contains("server 2 fails") && server.number() == 2;
            if fails || keyspace.field(&key, "online") == "false" {
                server.set_fault(FaultMode::Reset);
            }
        }
    }

    async fn run_on(&self, product: &Product) {
        let words = self.name_words();
        match words[0] {
            "addServer" => {
                let number: usize = words[1].parse().unwrap();
                let key = format!("server:{}", self.servers[number - 1]);
                let server = json!({
                    "url": self.after.field(&key, "url"),
                    "secret": self.after.field(&key, "secret"),
                    "load_multiplier": self.after.field(&key, "load_multiplier"),
                    "tag": self.after.field(&key, "tag"),
                });
                product
                    .call_management("addServer", Some(json!({ "server": server })))
                    .await
                    .unwrap();
            }
            "updateServer" => {
                let change = self.server_change();
                let call = json!({ "id": self.server(), "server": change });
                product.call_management("updateServer", Some(call)).await.unwrap();
            }
            "panicServer" | "deleteServer" => {
                let call = Some(json!({ "id": self.server() }));
                product.call_management(words[0], call).await.unwrap();
            }
            "poll" => {
                product.poll_servers().await.unwrap();
                // A meeting is forgotten when two polls do not report it.
                if self.name.contains("gone") {
                    product.poll_servers().await.unwrap();
                }
            }
            "create" | "join" | "end" => self.run_call(product).await,
            _ => self.run_tenant_step(product).await,
        }
    }

    fn server_change(&self) -> Value {
        let (name, value) =
            self.name_words()[2].trim_end_matches(',').split_once('=').unwrap_or(("tag", ""));
        json!({ name: value })
    }

    async fn run_tenant_step(&self, product: &Product) {
        let (kind, rest) = self.name.split_once(['[', ' ']).unwrap();
        match kind {
            "addTenant" => {
                let name = rest.split(' ').next().unwrap();
                let id = &self.tenants.iter().find(|(known, _)| known == name).unwrap().1;
                let secrets = self.after.field(&format!("tenant:{id}"), "secrets");
                let tenant = json!({ "tenant": { "name": name, "secrets": secrets } });
                product.call_management("addTenant", Some(tenant)).await.unwrap();
            }
            "updateTenant" => {
                let (name, change) = rest.split_once(' ').unwrap();
                let (_, new) = change.split_once('=').unwrap();
                let call = json!({ "id": self.tenant(name), "tenant": { "name": new } });
                product.call_management("updateTenant", Some(call)).await.unwrap();
            }
            "deleteTenant" => {
                let call = json!({ "id": self.tenant(rest) });
                product.call_management("deleteTenant", Some(call)).await.unwrap();
            }
            task => {
                let (name, rest) = rest.split_once(',').unwrap();
                let task = format!("{task}[{},{rest}", self.tenant(name));
                let output = product.setup().run_command(&["rake", &task]).await.unwrap();
                assert!(output.status.success(), "{task}: {output:?}");
            }
        }
    }

    fn tenant(&self, name: &str) -> &str {
        let by_name = |(_, id): &&(String, String)| {
            let key = format!("tenant:{id}");
            self.before.hash(&key).is_some() && self.before.field(&key, "name") == name
        };
        &self.tenants.iter().find(by_name).unwrap().1
    }

    async fn run_call(&self, product: &Product) {
        let meeting = self.meeting();
        let mut query = format!("meetingID={meeting}");
        let known = self.after.hash(&format!("meeting:{meeting}"));
        let password =
            known.map(|_| self.after.field(&format!("meeting:{meeting}"), "moderator_pw"));
        match self.name_words()[0] {
            "create" if !self.name.contains("no moderatorPW") && !self.name.contains("again") => {
                query += &format!("&moderatorPW={}", password.unwrap());
            }
            "join" => query += "&fullName=N&password=x",
            _ => {}
        }
        if self.name.contains("server-tag=blue") {
            query += "&meta_server-tag=blue";
        }
        let tenant = self.name.split_once(" in ").map(|(_, tenant)| tenant);
        let secret = match tenant {
            Some(name) => {
                let secrets =
                    self.before.field(&format!("tenant:{}", self.tenant(name)), "secrets");
                secrets.split(':').next().unwrap().to_owned()
            }
            None => SECRET.to_owned(),
        };
        let host =
            tenant.map_or("balancer.test".to_owned(), |name| format!("{name}.balancer.test"));
        let mut request =
            new_request("GET", &signed_target_with(&secret, self.name_words()[0], &query));
        request.headers = vec![("Host".to_owned(), host)];
        let response = product.send(&request).await.unwrap();
        assert!(
            response.status == 302 || response.text().contains("SUCCESS"),
            "{}",
            response.text()
        );
    }

    /// The keyspace of the original, with the ids and passwords that the product has generated, and
    /// with the one deliberate difference: the expected users of a new meeting.
    fn expected_keyspace(&self, found: &Keyspace) -> Keyspace {
        let new = |keyspace: &Keyspace, set: &str| -> Vec<String> {
            let old = self.before.members(set);
            keyspace.members(set).into_iter().filter(|id| !old.contains(id)).collect()
        };
        let mut sets = vec!["servers".to_owned(), "tenants".to_owned()];
        sets.extend(self.tenants.iter().map(|(_, id)| format!("tenant_settings:{id}")));
        let names: Vec<(String, String)> = sets
            .iter()
            .flat_map(|set| new(&self.after, set).into_iter().zip(new(found, set)))
            .collect();
        let mut expected = self.after.with_renames(&names);
        if self.is_create() {
            let key = format!("meeting:{}", self.meeting());
            let (server, password) =
                (expected.field(&key, "server_id"), found.field(&key, "moderator_pw"));
            let multiplier: f64 =
                expected.field(&format!("server:{server}"), "load_multiplier").parse().unwrap();
            let additional_load = (EXPECTED_USERS - 1.0) * multiplier;
            expected.change_scores("server_load", |id, score| {
                if id == server { score + additional_load } else { score }
            });
            if self.name.contains("no moderatorPW") {
                assert!(
                    password.len() == 8 && password.chars().all(|c| c.is_ascii_alphanumeric()),
                    "{password}"
                );
                expected.set_field(&key, "moderator_pw", &password);
            }
        }
        expected
    }
}
