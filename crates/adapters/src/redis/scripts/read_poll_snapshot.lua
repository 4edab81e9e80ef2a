-- Returns what a poll is judged by: a server, its meetings, and its pending ends. Returns false if
-- the server does not exist, or if a later poll cycle has recorded a poll of it: server, cycle (''
-- for none).
local id, cycle = ARGV[3], tonumber(ARGV[4])
local row = read_server(id)
if not row then return false end
local last = tonumber(call('HGET', own_key('server', id), 'last_poll_cycle') or 0)
if cycle and cycle < last then return false end
return { row, list_server_meetings(id), call('HVALS', own_key('pending_ends', id)) }
