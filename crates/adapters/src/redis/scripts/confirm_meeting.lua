-- A server has a meeting: JSON with the meeting as it is stored if there is no record of it, its
-- voice bridge and the token of its claim (both may be missing), the time, pending ends, the origin
-- as a flat list, and the pending end to store if another request's record stays although the origin
-- is proven. The same rule as domain::confirmation. Then the create is kept, as by keep_create.lua.
local request = cjson.decode(ARGV[3])
local meeting = request.meeting
local told = to_table(request.origin)
local MAX_CLOCK_SKEW_MS = 5000

-- The same rule as domain::poll::PendingEnd::proves.
local function is_proven_by(pending_end)
  if pending_end.create_sent_at == 0 then return false end
  if pending_end.internal_id then return pending_end.internal_id == told.internal_id end
  local created_at = tonumber(told.created_at)
  return created_at >= pending_end.create_sent_at - MAX_CLOCK_SKEW_MS
    and created_at <= pending_end.since + MAX_CLOCK_SKEW_MS
end

-- The same rule as domain::MeetingOrigin::with_reply.
local function merge_origin(key, known)
  if not told.internal_id then return end
  local is_same = known.internal_id == told.internal_id
  local keeps_doubt = is_same or (not known.internal_id and not known.claim_token)
  local is_proven = told.is_proven == '1' or (is_same and known.is_proven == '1')
  local is_adopted = not is_proven and told.is_adopted == '1'
    and (known.is_adopted == '1' or not keeps_doubt)
  call('HSET', key, 'internal_id', told.internal_id, 'created_at', told.created_at,
    'is_proven', is_proven and '1' or '0', 'is_adopted', is_adopted and '1' or '0')
end

local function confirm()
  local server_id = meeting.server
  local ref = find_ref(meeting.tenant, meeting.id)
  local row = ref and read_meeting(ref)
  local known = row and to_table(row[3])
  local has_same_claim = known and request.token and known.claim_token == request.token
  -- Where another request's meeting is recorded, it must not be ended.
  local recorded_server = known and not has_same_claim and known.server
  local field = pending_end_field(meeting.tenant, meeting.id)
  local known_end = call('HGET', own_key('pending_ends', server_id), field)
  if known_end and told.internal_id and is_proven_by(cjson.decode(known_end)) then
    told.is_proven, told.is_adopted = '1', '0'
  end
  local pending_ends = {}
  for _, pending_end in ipairs(request.pending_ends) do
    if pending_end[1] ~= recorded_server then pending_ends[#pending_ends + 1] = pending_end end
  end
  put_pending_ends(pending_ends)
  if call('HDEL', own_key('pending_ends', server_id), field) == 1 then increment_version(server_id) end
  if known then
    if known.server == server_id then
      if not known.detached then refresh_own_fields(ref, server_id) end
      merge_origin(own_key('meeting', ref), known)
      call('HSET', own_key('meeting', ref), 'seen_at', request.now)
      call('HDEL', own_key('meeting', ref), 'claim_token', 'claim_until', 'attempt')
      extend_ttl(ref)
      increment_version(server_id)
      return 1
    end
    if not has_same_claim then
      if told.is_proven == '1' then put_pending_ends(request.copy) end
      return 1
    end
    -- The request has moved its claim to another server, whose answer came later.
    undo_placement(row)
  end
  local fields = to_table(call('HGETALL', server_key(server_id)))
  if not fields.url or server_state(server_id, fields.state) == 'disabled' then return 0 end
  local bridge = request.bridge and is_bridge_free(request.bridge) and request.bridge
  if told.internal_id then
    -- The last value of a field counts.
    for _, name in ipairs({ 'is_proven', 'is_adopted' }) do
      meeting.own[#meeting.own + 1] = name
      meeting.own[#meeting.own + 1] = told[name]
    end
  end
  place_meeting(meeting, bridge, request.now)
  return 1
end

local result = confirm()
if request.kept then
  local ref = find_ref(meeting.tenant, meeting.id)
  keep_create(ref, request.kept.internal_id, request.kept.sealed, request.large, request.max_large)
end
return result
