-- The last cycle of a work: its number and when it began.
local cycle = call('HMGET', own('turn', ARGV[3]), 'number', 'begun_at')
return cycle[1] and cycle or {}
