-- Changes a server: id, and JSON with fields, state, and whether the tag goes.
local id, change = ARGV[3], cjson.decode(ARGV[4])
if call('EXISTS', server_key(id)) == 0 then return false end
for name, value in pairs(change.fields) do call('HSET', server_key(id), name, value) end
if change.untag then call('HDEL', server_key(id), 'tag') end
if change.state then set_state(id, change.state) end
bump(id)
revise()
return server(id)
