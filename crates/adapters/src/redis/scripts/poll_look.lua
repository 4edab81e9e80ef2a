-- A server, its meetings, and what is not wanted on it, for a poll to judge; nothing if a later cycle
-- was here.
local id, cycle = ARGV[3], tonumber(ARGV[4])
local row = server(id)
if not row then return false end
local last = tonumber(call('HGET', own('server', id), 'cycle') or 0)
if cycle and cycle < last then return false end
return { row, meetings_on(id), call('HVALS', own('endings', id)) }
