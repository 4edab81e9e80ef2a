-- Stores a session: time of its creation, tenant, id, the session as JSON. It replaces one that has
-- the same time, tenant and id.
local key = prefix .. 'own:sessions'
for _, member in ipairs(call('ZRANGEBYSCORE', key, ARGV[3], ARGV[3])) do
  local session = cjson.decode(member)
  if session.tenant == ARGV[4] and session.id == ARGV[5] then call('ZREM', key, member) end
end
call('ZADD', key, ARGV[3], ARGV[6])
return 1
