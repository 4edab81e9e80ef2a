-- Changes a server: id, and JSON with fields, our own fields, those of these that go, state, and
-- whether the tag goes.
local id, change = ARGV[3], cjson.decode(ARGV[4])
if call('EXISTS', server_key(id)) == 0 then return false end
for name, value in pairs(change.fields) do call('HSET', server_key(id), name, value) end
for name, value in pairs(change.own) do call('HSET', own('server', id), name, value) end
for _, name in ipairs(change.gone) do call('HDEL', own('server', id), name) end
if change.untag then call('HDEL', server_key(id), 'tag') end
if change.state then set_state(id, change.state) end
bump(id)
revise()
return server(id)
