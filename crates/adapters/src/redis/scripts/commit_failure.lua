-- Records a failed call to a server, given as JSON. Returns 0 if the server has changed since the
-- caller read it.
local failure = cjson.decode(ARGV[3])
if not is_unchanged(failure) then return 0 end
for name, value in pairs(failure.counters) do call('HSET', prefix .. failure.id, name, value) end
for name, value in pairs(failure.own) do call('HSET', own_key('server', failure.id), name, value) end
increment_version(failure.id)
if failure.changed then increment_revision() end
return 1
