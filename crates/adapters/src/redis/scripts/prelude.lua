-- What all scripts share. ARGV[1] is the prefix of all keys, ARGV[2] how long a meeting is kept, in
-- ms. Keys below "own:" are ours; all others are the original's, in its layout and nothing else.
local prefix, ttl = ARGV[1], ARGV[2]
local call = redis.call

local SERVERS, ENABLED = prefix .. 'servers', prefix .. 'server_enabled'
local LOAD, CORDONED = prefix .. 'server_load', prefix .. 'cordoned_server_load'
local MEETINGS, BRIDGES = prefix .. 'meetings', prefix .. 'voice_bridges'
-- Meetings that only we know, since their servers are offline.
local DETACHED = prefix .. 'own:detached'

local function meeting_key(ref) return prefix .. 'meeting:' .. ref end
local function server_key(id) return prefix .. 'server:' .. id end
local function own(kind, id) return prefix .. 'own:' .. kind .. ':' .. id end

local function table_of(flat)
  local fields = {}
  for at = 1, #flat, 2 do fields[flat[at]] = flat[at + 1] end
  return fields
end

-- Not tostring, which keeps 14 digits.
local function number(value) return string.format('%.17g', value) end

-- The order in which things were added: sets have none.
local function enroll(kind, id)
  call('ZADD', own('order', kind), call('INCR', own('counter', 'order')), id)
end

-- Server state that is remembered in processes has changed.
local function revise() call('INCR', own('counter', 'revision')) end

-- Anything of this server or its meetings has changed: a poll that looked before must look again.
local function bump(id) call('HINCRBY', own('server', id), 'version', 1) end

local function state_of(id, state)
  if state and state ~= '' then return state end
  -- As the original of 2020 left it.
  return call('SISMEMBER', ENABLED, id) == 1 and 'enabled' or 'disabled'
end

local function server(id)
  local fields = call('HGETALL', server_key(id))
  if #fields == 0 then return false end
  return {
    id,
    fields,
    call('HMGET', prefix .. id, 'healthy_counter', 'unhealthy_counter'),
    call('HGETALL', own('server', id)),
    call('ZSCORE', LOAD, id),
    call('ZSCORE', CORDONED, id),
    call('SISMEMBER', ENABLED, id),
    call('ZSCORE', own('order', 'servers'), id),
  }
end

-- What domain::Seats::taken says, of our fields of a meeting.
local function taken(fields, now)
  local users, reserved = tonumber(fields.users or 0), tonumber(fields.reserved or 0)
  if tonumber(now) < tonumber(fields.reserved_until or 0) and reserved > users then
    return reserved
  end
  return users
end

local function add_load(id, seats)
  if seats == 0 then return end
  local multiplier = tonumber(call('HGET', server_key(id), 'load_multiplier') or 1)
  -- As it is read by us.
  if not multiplier or not (multiplier > 0) then multiplier = 1 end
  for _, set in ipairs({ LOAD, CORDONED }) do
    local score = call('ZSCORE', set, id)
    if score then
      call('ZADD', set, number(math.max(0, tonumber(score) + seats * multiplier)), id)
    end
  end
end

-- Meetings placed on a server since its last poll.
local function placed_on(id) return call('HGET', own('server', id), 'placed') or '0' end

local function count_placed(id, more)
  if call('EXISTS', server_key(id)) == 0 then return end
  call('HSET', own('server', id), 'placed', number(math.max(0, tonumber(placed_on(id)) + more)))
end

-- The name of a meeting within its server's endings.
local function ending_field(tenant, id) return #tenant .. ':' .. tenant .. id end

-- Remembers what is not wanted on servers that are still there: server, field, value.
local function remember(endings)
  for _, one in ipairs(endings) do
    if call('EXISTS', server_key(one[1])) == 1 then
      call('HSET', own('endings', one[1]), one[2], one[3])
      bump(one[1])
    end
  end
end

-- Of two tenants' meetings with one id, one has the original's key, and the other's names its tenant.
local function apart(tenant, id) return '\31' .. tenant .. '\31' .. id end

local function is_at(ref, tenant)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'tenant_id')
  if not found[1] then found = call('HMGET', own('meeting', ref), 'detached', 'tenant_id') end
  return found[1] and (found[2] or '') == tenant
end

local function find(tenant, id)
  if string.sub(id, 1, 1) ~= '\31' and is_at(id, tenant) then return id end
  local ref = apart(tenant, id)
  if is_at(ref, tenant) then return ref end
  return nil
end

-- The servers of meetings of that id that are another tenant's, as a list and as a table.
local function servers_of_others(tenant, id)
  local refs = call('SMEMBERS', own('same', id))
  if string.sub(id, 1, 1) ~= '\31' then refs[#refs + 1] = id end
  local list, hosts = {}, {}
  for _, ref in ipairs(refs) do
    local found = call('HMGET', meeting_key(ref), 'server_id', 'tenant_id')
    if not found[1] then
      found = call('HMGET', own('meeting', ref), 'server', 'tenant_id', 'detached')
      if not found[3] then found = {} end
    end
    if found[1] and (found[2] or '') ~= tenant and not hosts[found[1]] then
      hosts[found[1]] = true
      list[#list + 1] = found[1]
    end
  end
  return list, hosts
end

-- Our fields of a meeting that the original knows; none if they are about an earlier one of this id.
local function own_fields(ref, server_id)
  local fields = call('HGETALL', own('meeting', ref))
  local known = table_of(fields)
  if known.server == server_id and not known.detached then return fields end
  -- The original tells by the time left when the meeting was made.
  local time, left = call('TIME'), call('PTTL', meeting_key(ref))
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen_at = left < 0 and now or now + left - ttl
  return { 'server', server_id, 'seen_at', number(seen_at) }
end

-- Makes our fields be about the meeting that the original knows, before they are written.
local function renew(ref, server_id)
  local key = own('meeting', ref)
  local known = call('HMGET', key, 'server', 'detached')
  if known[1] == server_id and not known[2] then return end
  local fields = own_fields(ref, server_id)
  call('DEL', key)
  call('HSET', key, unpack(fields))
  call('PEXPIRE', key, ttl)
end

-- What the original keeps of a meeting.
local function pairs_of(server_id, password, bridge, tenant)
  local fields = { 'server_id', server_id }
  if password then fields[#fields + 1] = 'moderator_pw'; fields[#fields + 1] = password end
  if bridge then fields[#fields + 1] = 'voice_bridge'; fields[#fields + 1] = bridge end
  fields[#fields + 1] = 'tenant_id'
  fields[#fields + 1] = tenant
  return fields
end

-- A meeting whole, detached or not, or false.
local function meeting(ref)
  local fields = call('HGETALL', meeting_key(ref))
  local server_id = table_of(fields).server_id
  if server_id then return { ref, fields, own_fields(ref, server_id) } end
  local kept = call('HGETALL', own('meeting', ref))
  local one = table_of(kept)
  if not one.detached then return false end
  return { ref, pairs_of(one.server, one.moderator_pw, one.voice_bridge, one.tenant_id), kept }
end

-- Keeps a meeting for its full time from now.
local function keep(ref)
  call('PEXPIRE', meeting_key(ref), ttl)
  call('PEXPIRE', own('meeting', ref), ttl)
end

local function forget(ref)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'voice_bridge')
  local host = found[1] or call('HGET', own('meeting', ref), 'server')
  call('DEL', meeting_key(ref), own('meeting', ref))
  local id = string.match(ref, '^\31[^\31]*\31(.*)$')
  if id then call('SREM', own('same', id), ref) end
  call('SREM', MEETINGS, ref)
  call('SREM', DETACHED, ref)
  if host then
    call('SREM', own('on', host), ref)
    if call('EXISTS', server_key(host)) == 1 then bump(host) end
  end
  if found[2] and call('HGET', BRIDGES, found[2]) == ref then call('HDEL', BRIDGES, found[2]) end
end

-- Forgets a meeting as if it had never been placed.
local function undo(row)
  local fields = table_of(row[3])
  if not fields.detached then add_load(fields.server, -taken(fields, fields.placed_at or 0)) end
  count_placed(fields.server, -1)
  forget(row[1])
end

-- How a meeting stands in the way of one that needs a place, as PlaceRequest::obstacle says it.
local function obstacle(row, token, now)
  local fields = table_of(row[3])
  if fields.claim_token then
    if fields.claim_token == token then return 'yields' end
    return tonumber(now) <= tonumber(fields.claim_until) and 'stays' or 'expired'
  end
  local away = fields.detached or call('HGET', server_key(fields.server), 'online') ~= 'true'
  return away and 'yields' or 'stays'
end

-- Whether a voice bridge is nobody's, or that meeting's.
local function is_free(bridge, ref)
  local holder = call('HGET', BRIDGES, bridge)
  return not holder or holder == ref or call('HGET', meeting_key(holder), 'voice_bridge') ~= bridge
end

-- Writes what the original knows of a meeting.
local function inscribe(ref, server_id, password, bridge, tenant)
  call('DEL', meeting_key(ref))
  call('HSET', meeting_key(ref), unpack(pairs_of(server_id, password, bridge, tenant)))
  keep(ref)
  call('SADD', MEETINGS, ref)
  call('SADD', own('on', server_id), ref)
  if bridge then call('HSET', BRIDGES, bridge, ref) end
end

-- Puts a meeting (tenant, id, server, perhaps a password, pairs of our own fields), with a voice
-- bridge or without; returns its name.
local function put(one, bridge)
  local ref = one.id
  if string.sub(ref, 1, 1) == '\31' or call('EXISTS', meeting_key(ref)) == 1
    or call('HEXISTS', own('meeting', ref), 'detached') == 1 then
    ref = apart(one.tenant, one.id)
    call('SADD', own('same', one.id), ref)
  end
  call('DEL', own('meeting', ref))
  call('HSET', own('meeting', ref), 'server', one.server, unpack(one.own))
  inscribe(ref, one.server, one.password, bridge, one.tenant)
  return ref
end

-- The same, counted on its server, where it is wanted.
local function place(one, bridge, now)
  put(one, bridge)
  add_load(one.server, taken(table_of(one.own), now))
  count_placed(one.server, 1)
  call('HDEL', own('endings', one.server), ending_field(one.tenant, one.id))
  bump(one.server)
end

-- Its server is offline: the original forgets a meeting then, and its number is free.
local function detach(ref)
  local fields = table_of(call('HGETALL', meeting_key(ref)))
  if not fields.server_id then return end
  renew(ref, fields.server_id)
  local key = own('meeting', ref)
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

-- Its server is back with it.
local function attach(ref)
  if call('EXISTS', meeting_key(ref)) == 1 then return end
  local key = own('meeting', ref)
  local one = table_of(call('HGETALL', key))
  if not one.detached then return end
  call('HDEL', key, 'detached', 'tenant_id', 'moderator_pw', 'voice_bridge')
  call('SREM', DETACHED, ref)
  local bridge = one.voice_bridge and is_free(one.voice_bridge) and one.voice_bridge
  inscribe(ref, one.server, one.moderator_pw, bridge, one.tenant_id)
end

-- The meetings of a server.
local function meetings_on(id)
  local rows = {}
  for _, ref in ipairs(call('SMEMBERS', own('on', id))) do
    local row = meeting(ref)
    if row and table_of(row[2]).server_id == id then
      rows[#rows + 1] = row
    else
      call('SREM', own('on', id), ref)
    end
  end
  return rows
end

local function take_all(id)
  local rows = meetings_on(id)
  for _, row in ipairs(rows) do forget(row[1]) end
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

-- Adds a server: id, state (absent for a new one, which the original leaves out), load, fields,
-- counters, own. False if it is there.
local function add_server(new)
  local id = new.id
  if call('EXISTS', server_key(id)) == 1 then return false end
  call('DEL', own('server', id), own('on', id), own('endings', id))
  for name, value in pairs(new.fields) do call('HSET', server_key(id), name, value) end
  for name, value in pairs(new.own) do call('HSET', own('server', id), name, value) end
  -- Counters of a removed server of that id are still there.
  local counts = new.counters.healthy_counter ~= '0' or new.counters.unhealthy_counter ~= '0'
  if counts or call('EXISTS', prefix .. id) == 1 then
    for name, value in pairs(new.counters) do call('HSET', prefix .. id, name, value) end
  end
  call('SADD', SERVERS, id)
  if new.state then set_state(id, new.state) end
  set_load(id, new.state, new.load)
  enroll('servers', id)
  revise()
  return true
end

-- Whether a server is as it was when it was looked at.
local function stands(judged)
  if call('EXISTS', server_key(judged.id)) == 0 then return false end
  local version = call('HGET', own('server', judged.id), 'version') or ''
  local position = call('ZSCORE', own('order', 'servers'), judged.id) or ''
  return version == judged.version and position == judged.position
end
