-- Removes a server, forgets its meetings and returns them, or returns false: server. Its counters
-- stay, as the original leaves them.
local id = ARGV[3]
if call('EXISTS', server_key(id)) == 0 then return false end
local rows = forget_server_meetings(id)
call('DEL', server_key(id), own_key('server', id), own_key('meetings_on', id))
call('DEL', own_key('pending_ends', id))
call('SREM', SERVERS, id)
call('SREM', ENABLED, id)
set_load(id)
call('ZREM', own_key('order', 'servers'), id)
increment_revision()
return rows
