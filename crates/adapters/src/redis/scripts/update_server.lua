-- Changes a server and returns it, or false: id, JSON with fields of the original, our own fields,
-- the names of own fields to remove, whether to remove the tag, and the state (may be missing).
local id, change = ARGV[3], cjson.decode(ARGV[4])
if call('EXISTS', server_key(id)) == 0 then return false end
for name, value in pairs(change.fields) do call('HSET', server_key(id), name, value) end
for name, value in pairs(change.own) do call('HSET', own_key('server', id), name, value) end
for _, name in ipairs(change.removed) do call('HDEL', own_key('server', id), name) end
if change.remove_tag then call('HDEL', server_key(id), 'tag') end
if change.state then set_state(id, change.state) end
increment_version(id)
increment_revision()
return read_server(id)
