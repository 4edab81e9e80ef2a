-- Forgets a meeting if it is on that server: tenant, id, server, endings as JSON.
remember(cjson.decode(ARGV[6]))
local ref = find(ARGV[3], ARGV[4])
local row = ref and meeting(ref)
if not row or table_of(row[2]).server_id ~= ARGV[5] then return 0 end
forget(ref)
return 1
