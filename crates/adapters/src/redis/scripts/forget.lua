-- Forgets a meeting if it is on that server: tenant, id, server.
local ref = find(ARGV[3], ARGV[4])
if not ref or call('HGET', meeting_key(ref), 'server_id') ~= ARGV[5] then return 0 end
forget(ref)
return 1
