-- Places meetings on the servers that the caller has chosen; replies 'retry' for those for which anything that the choice is based
-- on has changed since. JSON with the servers (load and count of placed meetings as the caller read them) and the claims: the
-- meeting, the token of the claim, the number of the attempt, the time, voice bridges to try in order, and pending ends. What
-- the claims before one of them change is part of its choice.
local request = cjson.decode(ARGV[3])
local has_changed = {}
for _, seen in ipairs(request.servers) do
  has_changed[seen.id] = call('ZSCORE', LOAD, seen.id) ~= seen.load
    or placed_since_poll(seen.id) ~= seen.placed_since_poll
end

local function place(claim)
  local meeting = claim.meeting
  local server_id = meeting.server
  local ref = find_ref(meeting.tenant, meeting.id)
  local row = ref and read_meeting(ref)
  if row then
    local known = to_table(row[3])
    if known.claim_token == claim.token and known.attempt == claim.attempt then
      -- This very call was executed before; its reply was lost.
      local bridge = to_table(row[2]).voice_bridge
      return { 'won', bridge, call('ZSCORE', LOAD, server_id), placed_since_poll(server_id) }
    end
    if record_conflict(row, claim.token, claim.now) ~= 'replaceable' then return { 'retry' } end
  end
  if not finds_replaced(row, claim.replaces, claim.token) then return { 'retry' } end
  if has_changed[server_id] ~= false then return { 'retry' } end
  local _, servers_of_others = servers_of_other_tenants(meeting.tenant, meeting.id)
  if servers_of_others[server_id] then return { 'retry' } end
  local bridge
  for _, number in ipairs(claim.bridges) do
    if is_bridge_free(number, ref) then
      bridge = number
      break
    end
  end
  if not bridge then return { 'no bridge' } end
  if row then
    undo_placement(row)
    put_end_of_replaced(meeting.tenant, meeting.id, row, claim.token, claim.now)
  end
  put_pending_ends(claim.pending_ends)
  place_meeting(meeting, bridge, claim.now)
  return { 'won', bridge, call('ZSCORE', LOAD, server_id), placed_since_poll(server_id) }
end

local replies = {}
for at, claim in ipairs(request.claims) do replies[at] = place(claim) end
return replies
