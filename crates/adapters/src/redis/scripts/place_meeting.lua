-- Places a meeting on the server that the caller has chosen; replies 'retry' if anything that the
-- choice is based on has changed since. JSON with the meeting, the load and the count of placed
-- meetings that the caller read of the server, the token of the claim, the number of the attempt,
-- the time, voice bridges to try in order, and pending ends.
local request = cjson.decode(ARGV[3])
local meeting = request.meeting
local server_id = meeting.server
local ref = find_ref(meeting.tenant, meeting.id)
local row = ref and read_meeting(ref)
if row then
  local known = to_table(row[3])
  if known.claim_token == request.token and known.attempt == request.attempt then
    -- This very call was executed before; its reply was lost.
    local bridge = to_table(row[2]).voice_bridge
    return { 'won', bridge, call('ZSCORE', LOAD, server_id), placed_since_poll(server_id) }
  end
  if record_conflict(row, request.token, request.now) ~= 'replaceable' then return { 'retry' } end
end
if call('ZSCORE', LOAD, server_id) ~= request.load
  or placed_since_poll(server_id) ~= request.placed_since_poll then
  return { 'retry' }
end
local _, servers_of_others = servers_of_other_tenants(meeting.tenant, meeting.id)
if servers_of_others[server_id] then return { 'retry' } end
local bridge
for _, number in ipairs(request.bridges) do
  if is_bridge_free(number, ref) then
    bridge = number
    break
  end
end
if not bridge then return { 'no bridge' } end
if row then
  undo_placement(row)
  put_end_of_replaced(meeting.tenant, meeting.id, row, request.token, request.now)
end
put_pending_ends(request.pending_ends)
place_meeting(meeting, bridge, request.now)
return { 'won', bridge, call('ZSCORE', LOAD, server_id), placed_since_poll(server_id) }
