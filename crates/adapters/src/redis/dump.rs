//! Writes all keys of the namespace out as of one moment, and puts them back in one transaction. A line is a JSON object
//! for each key; bytes are encoded in base64, since texts of others need not be UTF-8.

use std::sync::{Arc, LazyLock};

use app::ports::{Clock as _, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{Script, Value};
use serde::{Deserialize, Serialize};

use super::connection::to_store_error;
use super::{RedisStore, rows};
use crate::entropy::SystemClock;

/// Most keys of a namespace.
const MAX_KEYS: usize = 2_000_000;
/// Keys that Redis looks at in one step of a search.
const SCAN_COUNT: usize = 1000;
/// Keys that one command deletes.
const DELETED_AT_ONCE: usize = 500;
/// Fields or members that one command writes; an even number.
const WRITTEN_AT_ONCE: usize = 1000;
/// Keys of this process that a backup does not need.
const LEFT_OUT: [&str; 1] = ["__health_check_set__"];

/// Reads keys with their types, times to live and values, all at the same moment.
static READ_KEYS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = {} \
         for _, key in ipairs(ARGV) do \
           local kind = redis.call('TYPE', key).ok \
           local value \
           if kind == 'string' then value = {redis.call('GET', key)} \
           elseif kind == 'hash' then value = redis.call('HGETALL', key) \
           elseif kind == 'set' then value = redis.call('SMEMBERS', key) \
           elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') \
           elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1) end \
           if value then found[#found + 1] = {key, kind, redis.call('PTTL', key), value} end \
         end \
         return found",
    )
});

/// A key of a dump.
#[derive(Serialize, Deserialize)]
struct DumpedKey {
    /// The key without the namespace, encoded.
    key: String,
    /// Its type: string, hash, set, zset or list.
    kind: String,
    /// When it expires, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The value, members, or pairs of fields and values or of members and scores, encoded.
    values: Vec<String>,
}

/// Writes all keys of the namespace, line by line.
///
/// # Errors
/// When Redis cannot be read or has an unknown layout, or a line cannot be written.
pub(crate) async fn dump_keys(
    store: &RedisStore,
    write_line: &mut (dyn FnMut(&str) -> Result<(), StoreError> + Send),
) -> Result<(), StoreError> {
    let keys = list_keys(store).await?;
    let prefix = store.client.prefix.as_bytes();
    if keys.is_empty() {
        return Ok(());
    }
    let mut invocation = READ_KEYS.prepare_invoke();
    invocation.arg(&keys);
    let invocation = &invocation;
    let send = |mut connection| async move { invocation.invoke_async(&mut connection).await };
    let now = SystemClock.now().0;
    let found = store.client.send_unchecked(true, send).await?;
    for entry in rows::to_list(found) {
        let [
            Value::BulkString(key),
            Value::BulkString(kind),
            Value::Int(ttl_ms),
            Value::Array(values),
        ] = to_array::<4>(entry)?
        else {
            return Err(corrupt("an odd reply of Redis"));
        };
        let name = key.strip_prefix(prefix).unwrap_or(&key);
        if LEFT_OUT.iter().any(|left_out| name == left_out.as_bytes()) {
            continue;
        }
        let values = values.iter().map(|value| match value {
            Value::BulkString(bytes) => Ok(STANDARD.encode(bytes)),
            _ => Err(corrupt("an odd value in Redis")),
        });
        let dumped = DumpedKey {
            key: STANDARD.encode(name),
            kind: String::from_utf8_lossy(&kind).into_owned(),
            expires_at: (ttl_ms >= 0).then(|| now.saturating_add(ttl_ms)),
            values: values.collect::<Result<_, _>>()?,
        };
        let line = serde_json::to_string(&dumped).map_err(|error| corrupt(&error.to_string()))?;
        write_line(&line)?;
    }
    Ok(())
}

/// Lists the keys of the namespace, each once.
async fn list_keys(store: &RedisStore) -> Result<Vec<Vec<u8>>, StoreError> {
    store.client.require_known_schema().await?;
    let pattern = format!("{}*", escape_pattern(&store.client.prefix));
    let (mut keys, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let mut command = redis::cmd("SCAN");
        command.arg(&cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let reply = store.client.send_command(&command, true).await?;
        let [next, Value::Array(page)] = to_array::<2>(reply)? else {
            return Err(corrupt("an odd reply of Redis"));
        };
        keys.extend(page.into_iter().filter_map(|key| match key {
            Value::BulkString(key) => Some(key),
            _ => None,
        }));
        if keys.len() > MAX_KEYS {
            return Err(StoreError::Unavailable(format!("Redis: more than {MAX_KEYS} keys")));
        }
        cursor = rows::to_text(&next)?.unwrap_or_default();
        if cursor == "0" {
            break;
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The elements of a reply that has that many.
fn to_array<const N: usize>(reply: Value) -> Result<[Value; N], StoreError> {
    rows::to_list(reply).try_into().map_err(|_| corrupt("an odd reply of Redis"))
}

/// A namespace as a pattern that matches only itself.
fn escape_pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in prefix.chars() {
        if "*?[]\\^".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Describes what the namespace holds that would be lost; `None` if it holds nothing.
pub(crate) async fn describe_content(store: &RedisStore) -> Result<Option<String>, StoreError> {
    let mut counts = Vec::new();
    for name in ["servers", "meetings", "tenants"] {
        let mut command = redis::cmd("SCARD");
        command.arg(format!("{}{name}", store.client.prefix));
        let count = match store.client.send_command(&command, true).await? {
            Value::Int(count) => count,
            _ => 0,
        };
        counts.push((name, count));
    }
    if counts.iter().all(|(_, count)| *count == 0) {
        return Ok(None);
    }
    let counts: Vec<String> =
        counts.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    Ok(Some(counts.join(", ")))
}

/// The transaction that replaces all keys of the namespace.
pub(crate) struct KeyRestore {
    store: Arc<RedisStore>,
    keys: Vec<DumpedKey>,
}

impl KeyRestore {
    pub(crate) fn new(store: Arc<RedisStore>) -> Self {
        Self { store, keys: Vec::new() }
    }

    /// Takes a line of a dump.
    ///
    /// # Errors
    /// When it is none, or of a layout that this program does not know.
    pub(crate) fn add(&mut self, line: &str) -> Result<(), StoreError> {
        let key: DumpedKey =
            serde_json::from_str(line).map_err(|error| corrupt(&error.to_string()))?;
        if decode(&key.key)? == b"own:schema_version" {
            let version = key.values.first().map(|value| decode(value)).transpose()?;
            if version.as_deref() != Some(b"1") {
                let text = "Redis: the backup has another layout of keys: use the scalelite that has made it";
                return Err(StoreError::Incompatible(text.to_owned()));
            }
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(corrupt("too many keys"));
        }
        self.keys.push(key);
        Ok(())
    }

    /// Deletes all keys of the namespace and writes those of the dump, in one transaction. Keys that have expired
    /// meanwhile are left out.
    ///
    /// # Errors
    /// When the transaction fails; then nothing has changed.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let existing = list_keys(&self.store).await?;
        let now = SystemClock.now().0;
        let mut transaction = redis::pipe();
        transaction.atomic();
        for keys in existing.chunks(DELETED_AT_ONCE) {
            transaction.cmd("UNLINK").arg(keys).ignore();
        }
        for dumped in &self.keys {
            if dumped.expires_at.is_some_and(|expires_at| expires_at <= now) {
                continue;
            }
            let mut key = self.store.client.prefix.clone().into_bytes();
            key.extend(decode(&dumped.key)?);
            add_key(&mut transaction, &key, dumped)?;
        }
        let (number, mut connection) = self.store.client.connection.get().await?;
        let done: Result<(), _> = transaction.query_async(&mut connection).await;
        done.map_err(|error| {
            self.store.client.connection.drop_broken(number);
            to_store_error(&error)
        })
    }
}

fn add_key(
    transaction: &mut redis::Pipeline,
    key: &[u8],
    dumped: &DumpedKey,
) -> Result<(), StoreError> {
    let values: Vec<Vec<u8>> =
        dumped.values.iter().map(|value| decode(value)).collect::<Result<_, _>>()?;
    let command = match dumped.kind.as_str() {
        "string" => "SET",
        "hash" => "HSET",
        "set" => "SADD",
        "zset" => "ZADD",
        "list" => "RPUSH",
        _ => return Err(corrupt("a key of an unknown type")),
    };
    for chunk in values.chunks(WRITTEN_AT_ONCE) {
        let mut arguments: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
        if command == "ZADD" {
            // Scores come first here.
            arguments.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        transaction.cmd(command).arg(key).arg(arguments).ignore();
    }
    if let Some(expires_at) = dumped.expires_at {
        transaction.cmd("PEXPIREAT").arg(key).arg(expires_at).ignore();
    }
    Ok(())
}

fn decode(text: &str) -> Result<Vec<u8>, StoreError> {
    STANDARD.decode(text).map_err(|_| corrupt("text that is not base64"))
}

fn corrupt(text: &str) -> StoreError {
    StoreError::Corrupt(format!("the keys of the backup: {text}"))
}
