-- Writes the outcome of a poll, given as JSON. Returns 0 if anything that the outcome is based on
-- has changed since the caller read it.
local poll = cjson.decode(ARGV[3])
local id = poll.id
if not is_unchanged(poll) then return 0 end
for _, judged in ipairs(poll.judged_meetings) do
  local ref = find_ref(judged.tenant, judged.id)
  local row = ref and read_meeting(ref)
  local server_id = row and to_table(row[2]).server_id
  if server_id and call('EXISTS', server_key(server_id)) == 0 then server_id = false end
  if (server_id or nil) ~= judged.server then return 0 end
  local version = server_id and (call('HGET', own_key('server', server_id), 'version') or '')
  if server_id and version ~= judged.version then return 0 end
end
for name, value in pairs(poll.fields) do call('HSET', server_key(id), name, value) end
for name, value in pairs(poll.counters) do call('HSET', prefix .. id, name, value) end
for name, value in pairs(poll.own) do call('HSET', own_key('server', id), name, value) end
if poll.drained then set_state(id, 'disabled') end
set_load(id, poll.state, poll.load)
-- In the order of the outcome: a voice bridge may pass from one meeting to the next.
for _, update in ipairs(poll.updates) do
  local kind, ref, fields = update[1], update[2], update[3]
  if kind == 'forgotten' then
    forget_meeting(ref)
  elseif kind == 'detached' then
    detach_meeting(ref)
  else
    if kind == 'reported' then attach_meeting(ref) end
    local is_attached = call('EXISTS', meeting_key(ref)) == 1
    if is_attached then refresh_own_fields(ref, id) end
    -- The meeting may have expired since the caller read it.
    if is_attached or call('HEXISTS', own_key('meeting', ref), 'detached') == 1 then
      if kind == 'reported' then
        call('HDEL', own_key('meeting', ref), 'claim_token', 'claim_until', 'attempt')
        extend_ttl(ref)
      end
      call('HSET', own_key('meeting', ref), unpack(fields))
    end
  end
end
for _, adopted in ipairs(poll.adopted) do
  local ref = find_ref(adopted.meeting.tenant, adopted.meeting.id)
  -- A kept create goes with the record to a copy that this deployment made.
  local kept = ref and adopted.proven_id and call('HGET', create_key(ref), 'sealed')
  local large_size = kept and call('HGET', LARGE_CREATES, ref)
  if ref then forget_meeting(ref) end
  local bridge = adopted.bridge and is_bridge_free(adopted.bridge) and adopted.bridge
  local new_ref = put_meeting(adopted.meeting, bridge)
  if kept then
    call('HSET', create_key(new_ref), 'internal_id', adopted.proven_id, 'sealed', kept)
    if large_size then call('HSET', LARGE_CREATES, new_ref, large_size) end
    extend_ttl(new_ref)
  end
end
for _, field in ipairs(poll.settled_ends) do call('HDEL', own_key('pending_ends', id), field) end
put_pending_ends(poll.new_ends)
increment_version(id)
if poll.changed then increment_revision() end
return 1
