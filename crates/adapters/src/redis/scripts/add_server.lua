-- Adds a server: JSON with id, state (absent for a new one, which the original leaves out), load,
-- fields, counters, own.
local new = cjson.decode(ARGV[3])
local id = new.id
if call('EXISTS', server_key(id)) == 1 then return 0 end
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
return 1
