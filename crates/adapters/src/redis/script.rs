//! The list of scripts, and how scripts and commands are sent. Each script is one atomic operation
//! and one round trip.

use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use app::ports::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Script, ToRedisArgs, Value};

use super::RedisClient;
use super::connection::{is_broken, is_not_master, to_store_error};

/// The arguments of scripts that need none.
pub(super) const NO_ARGUMENTS: [&str; 0] = [];

/// A script.
pub(super) struct RedisScript {
    script: LazyLock<Script>,
    /// Whether the script may be sent again when it is not known whether the first call was
    /// executed.
    is_repeatable: bool,
    /// Whether the script makes cached joins invalid.
    invalidates_join_cache: bool,
}

macro_rules! scripts {
    ($($name:ident = $file:literal, repeatable: $repeatable:literal $(, $changes:ident)?;)+) => {
        $(pub(super) static $name: RedisScript = RedisScript {
            script: LazyLock::new(|| {
                Script::new(concat!(
                    include_str!("scripts/prelude.lua"),
                    include_str!(concat!("scripts/", $file, ".lua"))
                ))
            }),
            is_repeatable: $repeatable,
            invalidates_join_cache: scripts!(@changes $($changes)?),
        };)+
    };
    (@changes changes) => { true };
    (@changes) => { false };
}

scripts! {
    LIST_SERVERS = "list_servers", repeatable: true;
    FIND_SERVER = "find_server", repeatable: true;
    ADD_SERVER = "add_server", repeatable: false, changes;
    RESTORE_SERVERS = "restore_servers", repeatable: false, changes;
    UPDATE_SERVER = "update_server", repeatable: true, changes;
    REMOVE_SERVER = "remove_server", repeatable: false, changes;
    RECORD_VERSION = "record_version", repeatable: true, changes;
    READ_POLL_SNAPSHOT = "read_poll_snapshot", repeatable: true;
    COMMIT_POLL = "commit_poll", repeatable: false, changes;
    FIND_MEETINGS = "find_meetings", repeatable: true;
    COMMIT_FAILURE = "commit_failure", repeatable: false, changes;
    LIST_PENDING_ENDS = "list_pending_ends", repeatable: true;
    FORGET_OLD_PENDING_ENDS = "forget_old_pending_ends", repeatable: true;
    RECORD_SESSION = "record_session", repeatable: true;
    FORGET_SESSIONS = "forget_sessions", repeatable: true;
    CLAIM_STORE_ID = "claim_store_id", repeatable: true;
    FIND_MEETING = "find_meeting", repeatable: true;
    FIND_BY_VOICE_BRIDGE = "find_by_voice_bridge", repeatable: true;
    // A repeated call may count joins twice, which the next poll corrects.
    COUNT_JOINS = "count_joins", repeatable: true;
    ADOPT_MEETINGS = "adopt_meetings", repeatable: true;
    LIST_MEETINGS = "list_meetings", repeatable: true;
    LIST_SERVER_MEETINGS = "list_server_meetings", repeatable: true;
    READ_PLACEMENT_SNAPSHOT = "read_placement_snapshot", repeatable: true, changes;
    // The script recognises a repeated call by the numbers of the attempts.
    PLACE_MEETINGS = "place_meetings", repeatable: true, changes;
    CONFIRM_MEETING = "confirm_meeting", repeatable: true, changes;
    RELEASE_CLAIM = "release_claim", repeatable: true, changes;
    RESTORE_MEETING = "restore_meeting", repeatable: false, changes;
    FORGET_MEETING = "forget_meeting", repeatable: true, changes;
    FORGET_SERVER_MEETINGS = "forget_server_meetings", repeatable: false, changes;
    FORGET_UNSEEN = "forget_unseen", repeatable: true, changes;
    FREE_UNUSED_BRIDGES = "free_unused_bridges", repeatable: true;
    FORGET_REMOVED_SERVERS = "forget_removed_servers", repeatable: true;
    KEEP_CREATE = "keep_create", repeatable: true;
    FIND_CREATE = "find_create", repeatable: true;
    LIST_TENANTS = "list_tenants", repeatable: true;
    FIND_TENANT = "find_tenant", repeatable: true;
    ADD_TENANT = "add_tenant", repeatable: false;
    UPDATE_TENANT = "update_tenant", repeatable: true;
    REMOVE_TENANT = "remove_tenant", repeatable: false;
    LIST_SETTINGS = "list_settings", repeatable: true;
    ADD_SETTING = "add_setting", repeatable: false;
    REMOVE_SETTING = "remove_setting", repeatable: false;
    PUT_TOKEN = "put_token", repeatable: true;
    TAKE_TOKEN = "take_token", repeatable: false;
    READ_LAST_RUN = "read_last_run", repeatable: true;
    BEGIN_RUN = "begin_run", repeatable: false;
    CHECK_STORE = "check_store", repeatable: true;
    // A repeated call appends a sample twice; the last one of a time counts.
    APPEND_SAMPLES = "append_samples", repeatable: true;
    LIST_SAMPLE_BLOCKS = "list_sample_blocks", repeatable: true;
    LIST_BLOCKS_AT = "list_blocks_at", repeatable: true;
    FORGET_SAMPLES = "forget_samples", repeatable: true;
    READ_CERTIFICATE_STATE = "read_certificate_state", repeatable: true;
    REPLACE_CERTIFICATE_STATE = "replace_certificate_state", repeatable: false;
    ADD_MANAGEMENT_TOKEN = "add_management_token", repeatable: false;
    LIST_MANAGEMENT_TOKENS = "list_management_tokens", repeatable: true;
    REMOVE_MANAGEMENT_TOKEN = "remove_management_token", repeatable: false;
    RECORD_TOKEN_USE = "record_token_use", repeatable: true;
    APPEND_AUDIT = "append_audit", repeatable: true;
    LIST_AUDIT = "list_audit", repeatable: true;
    FORGET_AUDIT = "forget_audit", repeatable: true;
    ADD_DRAIN = "add_drain", repeatable: false;
    LIST_DRAINS = "list_drains", repeatable: true;
    REPLACE_DRAIN = "replace_drain", repeatable: false;
    FORGET_DRAINS = "forget_drains", repeatable: true;
    CLAIM_REQUEST = "claim_request", repeatable: false;
    REMEMBER_ANSWER = "remember_answer", repeatable: true;
    FORGET_REQUEST = "forget_request", repeatable: true;
}

impl RedisClient {
    /// Calls a script: one round trip, except for the first call after Redis has lost its scripts.
    pub(super) async fn call_script<A: ToRedisArgs>(
        &self,
        script: &RedisScript,
        arguments: &[A],
    ) -> Result<Value, StoreError> {
        let mut invocation = script.script.prepare_invoke();
        invocation.arg(&self.prefix).arg(self.meeting_ttl_ms).arg(arguments);
        let invocation = &invocation;
        let send = |mut connection| async move { invocation.invoke_async(&mut connection).await };
        let result = self.send_with_retry(script.is_repeatable, send).await;
        if script.invalidates_join_cache {
            self.revision.fetch_add(1, Ordering::Release);
        }
        result
    }

    /// Sends a plain command.
    pub(super) async fn send_command(
        &self,
        command: &redis::Cmd,
        is_repeatable: bool,
    ) -> Result<Value, StoreError> {
        let send = |mut connection| async move { command.query_async(&mut connection).await };
        self.send_with_retry(is_repeatable, send).await
    }

    /// Sends a script or a command. If the connection turns out to be broken, a repeatable one is
    /// sent again.
    async fn send_with_retry<F>(
        &self,
        is_repeatable: bool,
        send: impl Fn(MultiplexedConnection) -> F + Send,
    ) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>> + Send,
    {
        self.require_known_schema().await?;
        self.send_unchecked(is_repeatable, send).await
    }

    /// Like [`Self::send_with_retry`], without a check of the layout of our keys.
    pub(super) async fn send_unchecked<F>(
        &self,
        is_repeatable: bool,
        send: impl Fn(MultiplexedConnection) -> F + Send,
    ) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>> + Send,
    {
        let mut tries_left = if is_repeatable { 2 } else { 1 };
        loop {
            tries_left -= 1;
            let (number, connection) = self.connection.get().await?;
            let error = match send(connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if let Some(error) = self.assess_error(&error, number, tries_left == 0) {
                return Err(error);
            }
        }
    }

    /// Drops connections that an error shows to be unusable. Returns the error for the caller, or
    /// `None` if the call may be sent again.
    fn assess_error(&self, error: &RedisError, number: u64, is_last: bool) -> Option<StoreError> {
        let store_error = to_store_error(error);
        let is_not_master = is_not_master(error);
        if error.is_timeout() || (is_not_master && is_last) {
            self.connection.drop_all(&store_error);
            return Some(store_error);
        }
        if !is_not_master && !is_broken(error) {
            return Some(store_error);
        }
        self.connection.drop_broken(number);
        is_last.then_some(store_error)
    }
}
