-- A call to a server failed, as JSON; 0 if the server has changed since it was looked at.
local doubt = cjson.decode(ARGV[3])
if not stands(doubt) then return 0 end
for name, value in pairs(doubt.counters) do call('HSET', prefix .. doubt.id, name, value) end
for name, value in pairs(doubt.own) do call('HSET', own('server', doubt.id), name, value) end
bump(doubt.id)
if doubt.changed then revise() end
return 1
