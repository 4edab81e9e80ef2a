-- Keeps a session: when it began, tenant, id, all of it as JSON. The same one goes.
local key = prefix .. 'own:sessions'
for _, member in ipairs(call('ZRANGEBYSCORE', key, ARGV[3], ARGV[3])) do
  local one = cjson.decode(member)
  if one.tenant == ARGV[4] and one.id == ARGV[5] then call('ZREM', key, member) end
end
call('ZADD', key, ARGV[3], ARGV[6])
return 1
