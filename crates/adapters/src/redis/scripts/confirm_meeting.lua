-- A server has a meeting: JSON with the meeting as it is stored if there is no record of it, its
-- voice bridge and the token of its claim (both may be missing), the time, and pending ends. The
-- same rule as domain::confirmation.
local request = cjson.decode(ARGV[3])
local meeting = request.meeting
local server_id = meeting.server
local ref = find_ref(meeting.tenant, meeting.id)
local row = ref and read_meeting(ref)
local known = row and to_table(row[3])
local has_same_claim = known and request.token and known.claim_token == request.token
-- Where another request's meeting is recorded, it must not be ended.
local recorded_server = known and not has_same_claim and known.server
local pending_ends = {}
for _, pending_end in ipairs(request.pending_ends) do
  if pending_end[1] ~= recorded_server then pending_ends[#pending_ends + 1] = pending_end end
end
put_pending_ends(pending_ends)
local field = pending_end_field(meeting.tenant, meeting.id)
if call('HDEL', own_key('pending_ends', server_id), field) == 1 then increment_version(server_id) end
if known then
  if known.server == server_id then
    if not known.detached then refresh_own_fields(ref, server_id) end
    call('HSET', own_key('meeting', ref), 'seen_at', request.now)
    call('HDEL', own_key('meeting', ref), 'claim_token', 'claim_until', 'attempt')
    extend_ttl(ref)
    increment_version(server_id)
    return 1
  end
  if not has_same_claim then return 1 end
  -- The request has moved its claim to another server, whose answer came later.
  undo_placement(row)
end
local fields = to_table(call('HGETALL', server_key(server_id)))
if not fields.url or server_state(server_id, fields.state) == 'disabled' then return 0 end
local bridge = request.bridge and is_bridge_free(request.bridge) and request.bridge
place_meeting(meeting, bridge, request.now)
return 1
