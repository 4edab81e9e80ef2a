-- Forgets a meeting if it is on that server: tenant, id, server, pending ends as JSON, time when
-- the caller knows it to have been seen last ('' for any). Returns 0 without a change if it was
-- seen at another time. Meetings that only the original wrote have no such time.
local ref = find_ref(ARGV[3], ARGV[4])
local row = ref and read_meeting(ref)
local is_there = row and to_table(row[2]).server_id == ARGV[5]
if is_there and ARGV[7] ~= '' then
  local known = call('HMGET', own_key('meeting', ref), 'server', 'seen_at')
  if known[1] == ARGV[5] and known[2] and known[2] ~= ARGV[7] then return 0 end
end
put_pending_ends(cjson.decode(ARGV[6]))
if not is_there then return 0 end
forget_meeting(ref)
return 1
