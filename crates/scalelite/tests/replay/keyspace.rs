//! A keyspace as it was recorded: put into a Redis, taken out of one, compared.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use testkit::private::{Redis, RedisReply};

/// The prefix of the original's keys.
const ORIGINAL_PREFIX: &str = "scalelite:";
/// What is only ours, which the original never looks at.
const OWN_PREFIX: &str = "scalelite:own:";

/// Keys with type, value, and the seconds that they have left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keyspace(pub(crate) BTreeMap<String, Value>);

fn texts(value: &Value) -> Vec<String> {
    let of = |one: &Value| one.as_str().map_or_else(|| one.to_string(), str::to_owned);
    value.as_array().map(|all| all.iter().map(of).collect()).unwrap_or_default()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

impl Keyspace {
    /// One of the recording, for servers on that port.
    pub(crate) fn from_recording(keys: &Value, port: u16) -> Self {
        let text = keys.to_string().replace("127.0.0.1:9700", &format!("127.0.0.1:{port}"));
        Self(serde_json::from_str(&text).unwrap())
    }

    /// The same with other names.
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
            let mut asked = vec![command, key.as_str()];
            asked.extend(arguments.iter().map(String::as_str));
            redis.run_command(&asked).await.unwrap();
            if let Some(left) = entry["ttl_s"].as_i64() {
                redis.run_command(&["EXPIRE", key, &left.to_string()]).await.unwrap();
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
            let left: i64 =
                redis.run_command(&["TTL", &key]).await.unwrap().text().parse().unwrap();
            if left >= 0 {
                entry["ttl_s"] = left.into();
            }
            found.insert(key, entry);
        }
        // The probe of health checks.
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

    /// Members of a set.
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

    /// What differs from the expected one, a line each. Times left may be longer, since every poll
    /// renews them.
    pub(crate) fn list_differences(&self, expected: &Self) -> Vec<String> {
        let mut keys: Vec<_> = self.0.keys().chain(expected.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let differ = |key: &&String| {
            let (found, wanted) = (self.0.get(*key), expected.0.get(*key));
            let alike = found.zip(wanted).is_some_and(|(found, wanted)| is_alike(found, wanted));
            (!alike).then(|| format!("{key}\n      found {found:?}\n     wanted {wanted:?}"))
        };
        keys.iter().filter_map(differ).collect()
    }
}

fn is_alike(found: &Value, wanted: &Value) -> bool {
    let sorted = |entry: &Value| {
        let mut value = entry["value"].clone();
        if let Some(list) = value.as_array_mut() {
            list.sort_by_key(ToString::to_string);
        }
        value
    };
    let time = match (found["ttl_s"].as_i64(), wanted["ttl_s"].as_i64()) {
        (None, None) => true,
        (Some(found), Some(wanted)) => (wanted - 10..=86_400).contains(&found),
        _ => false,
    };
    found["type"] == wanted["type"] && sorted(found) == sorted(wanted) && time
}

async fn read_value(redis: &Redis, key: &str, kind: &str) -> Value {
    let ask = async |command: &[&str]| redis.run_command(command).await.unwrap();
    match kind {
        "set" => {
            let mut members = ask(&["SMEMBERS", key]).await.texts();
            members.sort();
            json!(members)
        }
        "hash" => reply_pairs(&ask(&["HGETALL", key]).await)
            .map(|pair| (pair[0].clone(), json!(pair[1])))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        "zset" => reply_pairs(&ask(&["ZRANGE", key, "0", "-1", "WITHSCORES"]).await)
            .map(|pair| json!([pair[0], number(&pair[1])]))
            .collect(),
        _ => json!(ask(&["GET", key]).await.text()),
    }
}

fn reply_pairs(reply: &RedisReply) -> impl Iterator<Item = Vec<String>> {
    let flat = reply.texts();
    flat.chunks_exact(2).map(<[String]>::to_vec).collect::<Vec<_>>().into_iter()
}
