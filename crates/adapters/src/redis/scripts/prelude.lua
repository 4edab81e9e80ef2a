-- Functions that all scripts share; every script begins with this file. ARGV[1] is the prefix of
-- all keys, ARGV[2] the time that a meeting is kept, in ms. Keys below "own:" are ours; all others
-- belong to the original and are written in its layout only.
local prefix, ttl = ARGV[1], ARGV[2]
local call = redis.call

local SERVERS, ENABLED = prefix .. 'servers', prefix .. 'server_enabled'
local LOAD, CORDONED = prefix .. 'server_load', prefix .. 'cordoned_server_load'
local MEETINGS, BRIDGES = prefix .. 'meetings', prefix .. 'voice_bridges'
-- Meetings of offline servers. The original has no keys for them.
local DETACHED = prefix .. 'own:detached'
-- The version of the layout below "own:", as `redis::schema` in the Rust code knows it.
local SCHEMA_VERSION = prefix .. 'own:schema_version'

-- A "ref" is the name under which a meeting is stored: its id, or tenant_scoped_id() of it.
local function meeting_key(ref) return prefix .. 'meeting:' .. ref end
local function server_key(id) return prefix .. 'server:' .. id end
local function own_key(kind, id) return prefix .. 'own:' .. kind .. ':' .. id end

-- Turns the flat list of a hash (name, value, name, value, …) into a table.
local function to_table(flat)
  local fields = {}
  for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
  return fields
end

-- tostring() keeps 14 digits only.
local function format_number(value) return string.format('%.17g', value) end

-- Writes the version of our layout if none is written yet.
local function record_schema_version() call('SETNX', SCHEMA_VERSION, '1') end

-- Records the order in which things were added: sets have no order.
local function add_to_order(kind, id)
  call('ZADD', own_key('order', kind), call('INCR', own_key('counter', 'order')), id)
end

-- Invalidates the servers that processes have cached.
local function increment_revision() call('INCR', own_key('counter', 'revision')) end

-- Records that something of this server or its meetings has changed: a commit that is based on an
-- earlier version is refused.
local function increment_version(id) call('HINCRBY', own_key('server', id), 'version', 1) end

local function server_state(id, state)
  if state and state ~= '' then return state end
  -- The original of 2020 has no field for the state.
  return call('SISMEMBER', ENABLED, id) == 1 and 'enabled' or 'disabled'
end

-- Returns everything that is stored of a server, or false.
local function read_server(id)
  local fields = call('HGETALL', server_key(id))
  if #fields == 0 then return false end
  return {
    id,
    fields,
    call('HMGET', prefix .. id, 'healthy_counter', 'unhealthy_counter'),
    call('HGETALL', own_key('server', id)),
    call('ZSCORE', LOAD, id),
    call('ZSCORE', CORDONED, id),
    call('SISMEMBER', ENABLED, id),
    call('ZSCORE', own_key('order', 'servers'), id),
  }
end

-- The same rule as domain::MeetingLoad::counted_users, on our own fields of a meeting.
local function counted_users(fields, now)
  local users, expected = tonumber(fields.users or 0), tonumber(fields.expected_users or 0)
  if tonumber(now) < tonumber(fields.expected_until or 0) and expected > users then
    return expected
  end
  return users
end

-- Adds users, which may be negative, to the load of a server.
local function add_load(id, users)
  if users == 0 then return end
  local multiplier = tonumber(call('HGET', server_key(id), 'load_multiplier') or 1)
  -- The Rust code reads invalid multipliers as 1, too.
  if not multiplier or not (multiplier > 0) then multiplier = 1 end
  for _, set in ipairs({ LOAD, CORDONED }) do
    local load = call('ZSCORE', set, id)
    if load then
      call('ZADD', set, format_number(math.max(0, tonumber(load) + users * multiplier)), id)
    end
  end
end

-- Returns the number of meetings that were placed on a server since its last poll.
local function placed_since_poll(id)
  return call('HGET', own_key('server', id), 'placed_since_poll') or '0'
end

local function add_placed(id, more)
  if call('EXISTS', server_key(id)) == 0 then return end
  local count = math.max(0, tonumber(placed_since_poll(id)) + more)
  call('HSET', own_key('server', id), 'placed_since_poll', format_number(count))
end

-- The field of a meeting in the hash of its server's pending ends.
local function pending_end_field(tenant, id) return #tenant .. ':' .. tenant .. id end

-- What is kept if a pending end is added to a stored one of the same server and meeting: the same rule
-- as domain::poll::PendingEnd::added_to, with the same time between two creates.
local function add_pending_end(known_text, added_text)
  if not known_text then return added_text end
  local known, added = cjson.decode(known_text), cjson.decode(added_text)
  if known.create_sent_at == 0 or added.create_sent_at == 0 then return added_text end
  if type(added.internal_id) == 'string' then return added_text end
  if type(known.internal_id) == 'string' then return known_text end
  if added.create_sent_at > known.since + 30000 then return added_text end
  added.create_sent_at = math.min(known.create_sent_at, added.create_sent_at)
  added.since = math.max(known.since, added.since)
  return cjson.encode(added)
end

-- Stores pending ends, each a list of server, field and value, for servers that exist.
local function put_pending_ends(pending_ends)
  for _, pending_end in ipairs(pending_ends) do
    local server_id = pending_end[1]
    local key = own_key('pending_ends', server_id)
    if call('EXISTS', server_key(server_id)) == 1 then
      local kept = add_pending_end(call('HGET', key, pending_end[2]), pending_end[3])
      call('HSET', key, pending_end[2], kept)
      increment_version(server_id)
    end
  end
end

-- Stores the pending end of a meeting (a row of read_meeting) whose record a request replaces: the
-- same rule as app::ports::PlaceRequest::pending_end_of.
local function put_end_of_replaced(tenant, id, row, token, now)
  local original, own = to_table(row[2]), to_table(row[3])
  local is_proven = own.is_proven == '1' and own.internal_id
  if own.claim_token == token or not (is_proven or own.claim_token) then return end
  local pending_end = {
    tenant = tenant,
    id = id,
    moderator_pw = original.moderator_pw,
    since = tonumber(now),
    create_sent_at = tonumber(is_proven and own.created_at or own.placed_at),
    internal_id = is_proven and own.internal_id or nil,
  }
  local field = pending_end_field(tenant, id)
  put_pending_ends({ { original.server_id, field, cjson.encode(pending_end) } })
end

-- Of two tenants' meetings with one id, the first has the original's key; the key of the second
-- contains its tenant.
local function tenant_scoped_id(tenant, id) return '\31' .. tenant .. '\31' .. id end

-- Whether a meeting of that tenant is stored under that name.
local function is_meeting_of(ref, tenant)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'tenant_id')
  if not found[1] then
    found = call('HMGET', own_key('meeting', ref), 'detached', 'tenant_id')
  end
  return found[1] and (found[2] or '') == tenant
end

-- Returns the name under which a meeting is stored, or nil.
local function find_ref(tenant, id)
  if string.sub(id, 1, 1) ~= '\31' and is_meeting_of(id, tenant) then return id end
  local ref = tenant_scoped_id(tenant, id)
  if is_meeting_of(ref, tenant) then return ref end
  return nil
end

-- Returns the servers that have another tenant's meeting of this id: as a list and as a set.
local function servers_of_other_tenants(tenant, id)
  local refs = call('SMEMBERS', own_key('same_id', id))
  if string.sub(id, 1, 1) ~= '\31' then refs[#refs + 1] = id end
  local list, set = {}, {}
  for _, ref in ipairs(refs) do
    local found = call('HMGET', meeting_key(ref), 'server_id', 'tenant_id')
    if not found[1] then
      found = call('HMGET', own_key('meeting', ref), 'server', 'tenant_id', 'detached')
      if not found[3] then found = {} end
    end
    local server_id = found[1]
    if server_id and (found[2] or '') ~= tenant and not set[server_id] then
      set[server_id] = true
      list[#list + 1] = server_id
    end
  end
  return list, set
end

-- Returns our own fields of a meeting that the original knows. Fields of an earlier meeting with
-- the same id are ignored.
local function own_fields(ref, server_id)
  local fields = call('HGETALL', own_key('meeting', ref))
  local known = to_table(fields)
  if known.server == server_id and not known.detached then return fields end
  -- The time that the original's key has left tells when the meeting was created.
  local time, left = call('TIME'), call('PTTL', meeting_key(ref))
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen_at = left < 0 and now or now + left - ttl
  return { 'server', server_id, 'seen_at', format_number(seen_at) }
end

-- Replaces our own fields if they are about an earlier meeting with the same id. To be called
-- before our fields are written.
local function refresh_own_fields(ref, server_id)
  local key = own_key('meeting', ref)
  local known = call('HMGET', key, 'server', 'detached')
  if known[1] == server_id and not known[2] then return end
  local fields = own_fields(ref, server_id)
  call('DEL', key)
  call('HSET', key, unpack(fields))
  call('PEXPIRE', key, ttl)
end

-- Returns the fields that the original keeps of a meeting, as a flat list.
local function original_fields(server_id, password, bridge, tenant)
  local fields = { 'server_id', server_id }
  if password then fields[#fields + 1] = 'moderator_pw'; fields[#fields + 1] = password end
  if bridge then fields[#fields + 1] = 'voice_bridge'; fields[#fields + 1] = bridge end
  fields[#fields + 1] = 'tenant_id'
  fields[#fields + 1] = tenant
  return fields
end

-- Keys of the kept creates of meetings, and the sizes of the large ones.
local function create_key(ref) return own_key('create', ref) end
local LARGE_CREATES = prefix .. 'own:large_creates'

local function forget_create(ref)
  if call('DEL', create_key(ref)) == 1 then call('HDEL', LARGE_CREATES, ref) end
end

-- Returns the name, the original's fields and our own fields of a meeting, detached or not; or
-- false.
local function read_meeting(ref)
  local fields = call('HGETALL', meeting_key(ref))
  local server_id = to_table(fields).server_id
  if server_id then return { ref, fields, own_fields(ref, server_id) } end
  local own = call('HGETALL', own_key('meeting', ref))
  local known = to_table(own)
  if not known.detached then return false end
  local original =
    original_fields(known.server, known.moderator_pw, known.voice_bridge, known.tenant_id)
  return { ref, original, own }
end

-- Keeps a meeting for its full time from now on.
local function extend_ttl(ref)
  call('PEXPIRE', meeting_key(ref), ttl)
  call('PEXPIRE', own_key('meeting', ref), ttl)
  call('PEXPIRE', create_key(ref), ttl)
end

local function forget_meeting(ref)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'voice_bridge')
  local server_id = found[1] or call('HGET', own_key('meeting', ref), 'server')
  call('DEL', meeting_key(ref), own_key('meeting', ref))
  forget_create(ref)
  local id = string.match(ref, '^\31[^\31]*\31(.*)$')
  if id then call('SREM', own_key('same_id', id), ref) end
  call('SREM', MEETINGS, ref)
  call('SREM', DETACHED, ref)
  if server_id then
    call('SREM', own_key('meetings_on', server_id), ref)
    if call('EXISTS', server_key(server_id)) == 1 then increment_version(server_id) end
  end
  if found[2] and call('HGET', BRIDGES, found[2]) == ref then call('HDEL', BRIDGES, found[2]) end
end

-- Forgets a meeting (a row of read_meeting) as if it had never been placed.
local function undo_placement(row)
  local fields = to_table(row[3])
  if not fields.detached then
    add_load(fields.server, -counted_users(fields, fields.placed_at or 0))
  end
  add_placed(fields.server, -1)
  forget_meeting(row[1])
end

-- Whether a request that replaces the meeting of this internalMeetingID only ('' or nil: any) finds it or its own claim: the
-- same rule as app::ports::PlaceRequest::refuse_other_record.
local function finds_replaced(row, replaces, token)
  if not replaces or replaces == '' then return true end
  if not row then return false end
  local fields = to_table(row[3])
  if fields.claim_token then return fields.claim_token == token end
  return fields.internal_id == replaces
end

-- How the record of a meeting conflicts with a request to place it: the same rule as
-- app::ports::PlaceRequest::classify_conflict.
local function record_conflict(row, token, now)
  local fields = to_table(row[3])
  if fields.claim_token then
    if fields.claim_token == token then return 'replaceable' end
    -- A claim of a clock that has been set back since is over, as in domain::Meeting::is_being_created.
    local lead = tonumber(fields.placed_at or 0) - tonumber(now)
    local is_held = tonumber(now) <= tonumber(fields.claim_until) and lead <= 120000
    return is_held and 'blocking' or 'expired'
  end
  local offline = fields.detached or call('HGET', server_key(fields.server), 'online') ~= 'true'
  return offline and 'replaceable' or 'blocking'
end

-- Whether a voice bridge belongs to no meeting, or to that one.
local function is_bridge_free(bridge, ref)
  local holder = call('HGET', BRIDGES, bridge)
  return not holder or holder == ref or call('HGET', meeting_key(holder), 'voice_bridge') ~= bridge
end

-- Writes the original's keys of a meeting.
local function write_original_fields(ref, server_id, password, bridge, tenant)
  call('DEL', meeting_key(ref))
  call('HSET', meeting_key(ref), unpack(original_fields(server_id, password, bridge, tenant)))
  extend_ttl(ref)
  call('SADD', MEETINGS, ref)
  call('SADD', own_key('meetings_on', server_id), ref)
  if bridge then call('HSET', BRIDGES, bridge, ref) end
end

-- Stores a meeting (tenant, id, server, password or nil, flat list of our own fields) with a voice
-- bridge or nil; returns the name under which it is stored.
local function put_meeting(meeting, bridge)
  local ref = meeting.id
  if string.sub(ref, 1, 1) == '\31' or call('EXISTS', meeting_key(ref)) == 1
    or call('HEXISTS', own_key('meeting', ref), 'detached') == 1 then
    ref = tenant_scoped_id(meeting.tenant, meeting.id)
    call('SADD', own_key('same_id', meeting.id), ref)
  end
  call('DEL', own_key('meeting', ref))
  forget_create(ref)
  call('HSET', own_key('meeting', ref), 'server', meeting.server, unpack(meeting.own))
  write_original_fields(ref, meeting.server, meeting.password, bridge, meeting.tenant)
  return ref
end

-- Stores a meeting as put_meeting() does, and counts it on its server.
local function place_meeting(meeting, bridge, now)
  put_meeting(meeting, bridge)
  add_load(meeting.server, counted_users(to_table(meeting.own), now))
  add_placed(meeting.server, 1)
  increment_version(meeting.server)
end

-- Detaches a meeting whose server is offline: the original forgets such meetings, and their voice
-- bridges become free.
local function detach_meeting(ref)
  local fields = to_table(call('HGETALL', meeting_key(ref)))
  if not fields.server_id then return end
  refresh_own_fields(ref, fields.server_id)
  local key = own_key('meeting', ref)
  call('HSET', key, 'detached', '1', 'tenant_id', fields.tenant_id or '')
  for _, name in ipairs({ 'moderator_pw', 'voice_bridge' }) do
    if fields[name] then call('HSET', key, name, fields[name]) end
  end
  call('DEL', meeting_key(ref))
  call('SREM', MEETINGS, ref)
  call('SADD', DETACHED, ref)
  local bridge = fields.voice_bridge
  if bridge and call('HGET', BRIDGES, bridge) == ref then call('HDEL', BRIDGES, bridge) end
end

-- Attaches a detached meeting that its server reports again.
local function attach_meeting(ref)
  if call('EXISTS', meeting_key(ref)) == 1 then return end
  local key = own_key('meeting', ref)
  local known = to_table(call('HGETALL', key))
  if not known.detached then return end
  call('HDEL', key, 'detached', 'tenant_id', 'moderator_pw', 'voice_bridge')
  call('SREM', DETACHED, ref)
  local bridge = known.voice_bridge and is_bridge_free(known.voice_bridge) and known.voice_bridge
  write_original_fields(ref, known.server, known.moderator_pw, bridge, known.tenant_id)
end

-- Returns the meetings of a server.
local function list_server_meetings(id)
  local rows = {}
  for _, ref in ipairs(call('SMEMBERS', own_key('meetings_on', id))) do
    local row = read_meeting(ref)
    if row and to_table(row[2]).server_id == id then
      rows[#rows + 1] = row
    else
      call('SREM', own_key('meetings_on', id), ref)
    end
  end
  return rows
end

-- Forgets the meetings of a server and returns them.
local function forget_server_meetings(id)
  local rows = list_server_meetings(id)
  for _, row in ipairs(rows) do forget_meeting(row[1]) end
  return rows
end

local function set_load(id, state, load)
  call('ZREM', LOAD, id)
  call('ZREM', CORDONED, id)
  if load and state == 'enabled' then call('ZADD', LOAD, load, id) end
  if load and state == 'cordoned' then call('ZADD', CORDONED, load, id) end
end

local function set_state(id, state)
  call('HSET', server_key(id), 'state', state)
  if state == 'enabled' then call('SADD', ENABLED, id) else call('SREM', ENABLED, id) end
  set_load(id, state, call('ZSCORE', LOAD, id) or call('ZSCORE', CORDONED, id))
end

-- Adds a server: id, state (nil for a new one, as the original omits it), load, fields, counters,
-- own. Returns false if its id exists.
local function add_server(new)
  local id = new.id
  if call('EXISTS', server_key(id)) == 1 then return false end
  record_schema_version()
  call('DEL', own_key('server', id), own_key('meetings_on', id), own_key('pending_ends', id))
  for name, value in pairs(new.fields) do call('HSET', server_key(id), name, value) end
  for name, value in pairs(new.own) do call('HSET', own_key('server', id), name, value) end
  -- The original keeps the counters of a removed server: they must not count for this one.
  local counts = new.counters.healthy_counter ~= '0' or new.counters.unhealthy_counter ~= '0'
  if counts or call('EXISTS', prefix .. id) == 1 then
    for name, value in pairs(new.counters) do call('HSET', prefix .. id, name, value) end
  end
  call('SADD', SERVERS, id)
  if new.state then set_state(id, new.state) end
  set_load(id, new.state, new.load)
  add_to_order('servers', id)
  increment_revision()
  return true
end

-- Whether a server is still as the caller read it (id, version, position).
local function is_unchanged(judged)
  if call('EXISTS', server_key(judged.id)) == 0 then return false end
  local version = call('HGET', own_key('server', judged.id), 'version') or ''
  local position = call('ZSCORE', own_key('order', 'servers'), judged.id) or ''
  return version == judged.version and position == judged.position
end

-- Keeps the create of a meeting. Returns 0 without a change if the meeting with this internalMeetingID is not
-- recorded, or if there is no room: creates are large from one size on, and may have another one together.
local function keep_create(ref, internal_id, sealed, large, max_large)
  local row = ref and read_meeting(ref)
  if not row or to_table(row[3]).internal_id ~= internal_id then return 0 end
  local total = #sealed
  if #sealed > large then
    for other, other_size in pairs(to_table(call('HGETALL', LARGE_CREATES))) do
      if call('EXISTS', create_key(other)) == 0 then
        -- It has expired with its meeting.
        call('HDEL', LARGE_CREATES, other)
      elseif other ~= ref then
        total = total + tonumber(other_size)
      end
    end
    if total > max_large then return 0 end
  end
  forget_create(ref)
  record_schema_version()
  call('HSET', create_key(ref), 'internal_id', internal_id, 'sealed', sealed)
  call('PEXPIRE', create_key(ref), ttl)
  if #sealed > large then call('HSET', LARGE_CREATES, ref, #sealed) end
  return 1
end
