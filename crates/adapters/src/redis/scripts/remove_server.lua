-- Removes a server and forgets its meetings. Its counters stay, as the original leaves them.
local id = ARGV[3]
if call('EXISTS', server_key(id)) == 0 then return false end
local rows = take_all(id)
call('DEL', server_key(id), own('server', id), own('on', id), own('endings', id))
call('SREM', SERVERS, id)
call('SREM', ENABLED, id)
set_load(id)
call('ZREM', own('order', 'servers'), id)
revise()
return rows
