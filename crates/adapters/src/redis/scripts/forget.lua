-- Forgets a meeting if it is on that server: tenant, id, server, endings as JSON, perhaps when it was
-- last seen, if it is to stay if it was seen since. What only the original knows was not.
local ref = find(ARGV[3], ARGV[4])
local row = ref and meeting(ref)
local there = row and table_of(row[2]).server_id == ARGV[5]
if there and ARGV[7] ~= '' then
  local known = call('HMGET', own('meeting', ref), 'server', 'seen_at')
  if known[1] == ARGV[5] and known[2] and known[2] ~= ARGV[7] then return 0 end
end
remember(cjson.decode(ARGV[6]))
if not there then return 0 end
forget(ref)
return 1
