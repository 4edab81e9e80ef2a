-- What all scripts share. ARGV[1] is the prefix of all keys, ARGV[2] how long a meeting is kept, in
-- ms. Keys below "own:" are ours; all others are the original's, in its layout and nothing else.
local prefix, ttl = ARGV[1], ARGV[2]
local call = redis.call

local SERVERS, ENABLED = prefix .. 'servers', prefix .. 'server_enabled'
local LOAD, CORDONED = prefix .. 'server_load', prefix .. 'cordoned_server_load'
local MEETINGS, BRIDGES = prefix .. 'meetings', prefix .. 'voice_bridges'

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

-- Of two tenants' meetings with one id, one has the original's key, and the other's names its tenant.
local function apart(tenant, id) return '\31' .. tenant .. '\31' .. id end

local function is_at(ref, tenant)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'tenant_id')
  return found[1] and (found[2] or '') == tenant
end

local function find(tenant, id)
  if string.sub(id, 1, 1) ~= '\31' and is_at(id, tenant) then return id end
  local ref = apart(tenant, id)
  if is_at(ref, tenant) then return ref end
  return nil
end

-- Our fields of a meeting; none if they are about an earlier meeting of this id.
local function own_fields(ref, server_id)
  local fields = call('HGETALL', own('meeting', ref))
  if table_of(fields).server == server_id then return fields end
  -- The original tells by the time left when the meeting was made.
  local time, left = call('TIME'), call('PTTL', meeting_key(ref))
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local seen_at = left < 0 and now or now + left - ttl
  return { 'server', server_id, 'seen_at', number(seen_at) }
end

-- A meeting whole, or false.
local function meeting(ref)
  local fields = call('HGETALL', meeting_key(ref))
  local server_id = table_of(fields).server_id
  if not server_id then return false end
  return { ref, fields, own_fields(ref, server_id) }
end

-- Keeps a meeting for its full time from now.
local function keep(ref)
  call('PEXPIRE', meeting_key(ref), ttl)
  call('PEXPIRE', own('meeting', ref), ttl)
end

local function forget(ref)
  local found = call('HMGET', meeting_key(ref), 'server_id', 'voice_bridge')
  call('DEL', meeting_key(ref), own('meeting', ref))
  call('SREM', MEETINGS, ref)
  if found[1] then
    call('SREM', own('on', found[1]), ref)
    if call('EXISTS', server_key(found[1])) == 1 then bump(found[1]) end
  end
  if found[2] and call('HGET', BRIDGES, found[2]) == ref then call('HDEL', BRIDGES, found[2]) end
end

-- Forgets a meeting as if it had never been placed.
local function undo(row)
  local fields = table_of(row[3])
  add_load(fields.server, -taken(fields, fields.placed_at or 0))
  forget(row[1])
end

local function is_free(bridge)
  local holder = call('HGET', BRIDGES, bridge)
  return not holder or call('HGET', meeting_key(holder), 'voice_bridge') ~= bridge
end

-- Puts a meeting; `seats` are the pairs of our own fields but for `server`.
local function put(tenant, id, server_id, password, bridge, seats)
  local ref = id
  if string.sub(id, 1, 1) == '\31' or call('EXISTS', meeting_key(id)) == 1 then
    ref = apart(tenant, id)
  end
  local fields = { 'server_id', server_id }
  if password then fields[#fields + 1] = 'moderator_pw'; fields[#fields + 1] = password end
  if bridge then fields[#fields + 1] = 'voice_bridge'; fields[#fields + 1] = bridge end
  fields[#fields + 1] = 'tenant_id'
  fields[#fields + 1] = tenant
  call('DEL', meeting_key(ref), own('meeting', ref))
  call('HSET', meeting_key(ref), unpack(fields))
  call('HSET', own('meeting', ref), 'server', server_id, unpack(seats))
  keep(ref)
  call('SADD', MEETINGS, ref)
  call('SADD', own('on', server_id), ref)
  if bridge then call('HSET', BRIDGES, bridge, ref) end
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
