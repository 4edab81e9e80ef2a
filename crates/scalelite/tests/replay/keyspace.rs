//! Keyspaces of Redis: recorded ones, written to a server, read from it, and compared.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::private::{Redis, RedisReply};

/// The prefix of the original's keys.
const ORIGINAL_PREFIX: &str = "scalelite:";
/// The prefix of the product's own keys, which the original never reads.
const OWN_PREFIX: &str = "scalelite:own:";

/// Keys with their type, value and remaining time in seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyspace(pub(crate) BTreeMap<String, Value>);

fn texts(value: &Value) -> Vec<String> {
    let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
    value.as_array().map(|items| items.iter().map(text).collect()).unwrap_or_default()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

impl Keyspace {
    /// A keyspace of a recording, with servers on this port.
    pub(crate) fn from_recording(keys: &Value, port: u16) -> Self {
        let text = keys.to_string().replace("127.0.0.1:9700", &format!("127.0.0.1:{port}"));
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The keyspace with names replaced.
    pub(crate) fn with_renames(&self, names: &[(String, String)]) -> Self {
        let mut text = serde_json::to_string(&self.0).unwrap();
        for (old, new) in names {
            text = text.replace(old, new);
        }
        let mut keys: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        for entry in keys.values_mut().filter(|entry| entry["type"] == "set") {
            let mut members = texts(&entry["value"]);
            members.sort();
            entry["value"] = json!(members);
        }
        Self(keys)
    }

    pub(crate) async fn write_to(&self, redis: &Redis) {
        redis.flush_all().await.unwrap();
        for (key, entry) in &self.0 {
            let value = &entry["value"];
            let (command, arguments) = match entry["type"].as_str().unwrap() {
                "set" => ("SADD", texts(value)),
                "hash" => {
                    let fields = value.as_object().unwrap().iter();
                    let pair = |(name, text): (&String, &Value)| {
                        [name.clone(), text.as_str().unwrap().to_owned()]
                    };
                    ("HSET", fields.flat_map(pair).collect())
                }
                "zset" => {
                    let pairs = value.as_array().unwrap().iter();
                    (
                        "ZADD",
                        pairs.flat_map(|pair| [1, 0].map(|at| texts(pair)[at].clone())).collect(),
                    )
                }
                other => panic!("{key} is a {other}"),
            };
            let mut words = vec![command, key.as_str()];
            words.extend(arguments.iter().map(String::as_str));
            redis.run_command(&words).await.unwrap();
            if let Some(ttl_s) = entry["ttl_s"].as_i64() {
                redis.run_command(&["EXPIRE", key, &ttl_s.to_string()]).await.unwrap();
            }
        }
    }

    pub(crate) async fn read_from(redis: &Redis) -> Self {
        let keys =
            redis.run_command(&["KEYS", &format!("{ORIGINAL_PREFIX}*")]).await.unwrap().texts();
        let mut found = BTreeMap::new();
        for key in keys.into_iter().filter(|key| !key.starts_with(OWN_PREFIX)) {
            let kind = redis.run_command(&["TYPE", &key]).await.unwrap().text();
            let value = read_value(redis, &key, &kind).await;
            let mut entry = json!({ "type": kind, "value": value });
            let ttl_s: i64 =
                redis.run_command(&["TTL", &key]).await.unwrap().text().parse().unwrap();
            if ttl_s >= 0 {
                entry["ttl_s"] = ttl_s.into();
            }
            found.insert(key, entry);
        }
        // Health checks write this key.
        found.remove(&format!("{ORIGINAL_PREFIX}__health_check_set__"));
        Self(found)
    }

    pub(crate) fn hash(&self, key: &str) -> Option<&serde_json::Map<String, Value>> {
        self.0.get(&format!("{ORIGINAL_PREFIX}{key}"))?["value"].as_object()
    }

    pub(crate) fn field(&self, key: &str, name: &str) -> String {
        let hash = self.hash(key).unwrap_or_else(|| panic!("no {key}"));
        hash.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Sets a field of a hash.
    pub(crate) fn set_field(&mut self, key: &str, name: &str, value: &str) {
        self.0.get_mut(&format!("{ORIGINAL_PREFIX}{key}")).unwrap()["value"][name] = value.into();
    }

    /// The members of a set.
    pub(crate) fn members(&self, key: &str) -> Vec<String> {
        let entry = self.0.get(&format!("{ORIGINAL_PREFIX}{key}"));
        entry.map(|entry| texts(&entry["value"])).unwrap_or_default()
    }

    /// Changes the scores of a sorted set.
    pub(crate) fn change_scores(&mut self, key: &str, change: impl Fn(&str, f64) -> f64) {
        let Some(entry) = self.0.get_mut(&format!("{ORIGINAL_PREFIX}{key}")) else { return };
        for pair in entry["value"].as_array_mut().unwrap() {
            let (member, score) = (pair[0].as_str().unwrap().to_owned(), pair[1].as_f64().unwrap());
            pair[1] = change(&member, score).into();
        }
    }

    /// The differences to the expected keyspace, one per line. Remaining times may be longer, since
    /// every poll renews them.
    pub(crate) fn list_differences(&self, expected: &Self) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().chain(expected.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let difference = |key: &&String| {
            let (found, expected) = (self.0.get(*key), expected.0.get(*key));
            let is_same =
                found.zip(expected).is_some_and(|(found, expected)| is_alike(found, expected));
            (!is_same).then(|| format!("{key}\n      found {found:?}\n   expected {expected:?}"))
        };
        keys.iter().filter_map(difference).collect()
    }
}

fn is_alike(found: &Value, expected: &Value) -> bool {
    let sorted = |entry: &Value| {
        let mut value = entry["value"].clone();
        if let Some(list) = value.as_array_mut() {
            list.sort_by_key(ToString::to_string);
        }
        value
    };
    let is_time_alike = match (found["ttl_s"].as_i64(), expected["ttl_s"].as_i64()) {
        (None, None) => true,
        (Some(found), Some(expected)) => (expected - 10..=86_400).contains(&found),
        _ => false,
    };
    found["type"] == expected["type"] && sorted(found) == sorted(expected) && is_time_alike
}

async fn read_value(redis: &Redis, key: &str, kind: &str) -> Value {
    let run = async |command: &[&str]| redis.run_command(command).await.unwrap();
    match kind {
        "set" => {
            let mut members = run(&["SMEMBERS", key]).await.texts();
            members.sort();
            json!(members)
        }
        "hash" => reply_pairs(&run(&["HGETALL", key]).await)
            .map(|pair| (pair[0].clone(), json!(pair[1])))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        "zset" => reply_pairs(&run(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await)
            .map(|pair| json!([pair[0], number(&pair[1])]))
            .collect(),
        _ => json!(run(&["GET", key]).await.text()),
    }
}

fn reply_pairs(reply: &RedisReply) -> impl Iterator<Item = Vec<String>> {
    let flat = reply.texts();
    flat.chunks_exact(2).map(<[String]>::to_vec).collect::<Vec<_>>().into_iter()
}
