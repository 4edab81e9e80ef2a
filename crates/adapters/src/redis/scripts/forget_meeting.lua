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
local pending_ends = cjson.decode(ARGV[6])
put_pending_ends(pending_ends)
-- Copies that other pending ends name are to end too: the same rule as domain::poll::PendingEnd::after_request.
for _, pending_end in ipairs(pending_ends) do
  local requested = cjson.decode(pending_end[3])
  local servers = requested.create_sent_at == 0 and call('SMEMBERS', SERVERS) or {}
  for _, server_id in ipairs(servers) do
    local key, field = own_key('pending_ends', server_id), pending_end[2]
    local text = call('HGET', key, field)
    local known = text and cjson.decode(text)
    if known and known.create_sent_at ~= 0 and type(known.internal_id) == 'string' then
      known.create_sent_at, known.since = 0, requested.since
      call('HSET', key, field, cjson.encode(known))
      increment_version(server_id)
    end
  end
end
if not is_there then return 0 end
forget_meeting(ref)
return 1
