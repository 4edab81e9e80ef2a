-- Writes what a poll means, as JSON; 0 if the server has changed since it was looked at.
local poll = cjson.decode(ARGV[3])
local id = poll.id
if call('EXISTS', server_key(id)) == 0 then return 0 end
local version = call('HGET', own('server', id), 'version') or ''
local position = call('ZSCORE', own('order', 'servers'), id) or ''
if version ~= poll.version or position ~= poll.position then return 0 end
for name, value in pairs(poll.fields) do call('HSET', server_key(id), name, value) end
for name, value in pairs(poll.counters) do call('HSET', prefix .. id, name, value) end
for name, value in pairs(poll.own) do call('HSET', own('server', id), name, value) end
if poll.drained then set_state(id, 'disabled') end
set_load(id, poll.state, poll.load)
for _, ref in ipairs(poll.forget) do forget(ref) end
for _, seen in ipairs(poll.seen) do
  local ref = seen[1]
  call('HDEL', own('meeting', ref), 'claim_token', 'claim_until')
  call('HSET', own('meeting', ref), 'server', id, 'seen_at', seen[2], 'reserved', seen[3],
    'reserved_until', seen[4], 'users', seen[5])
  keep(ref)
end
bump(id)
if poll.changed then revise() end
return 1
