-- Writes what a poll means, as JSON; 0 if what it was judged by has changed since.
local poll = cjson.decode(ARGV[3])
local id = poll.id
if not stands(poll) then return 0 end
for _, other in ipairs(poll.ground) do
  local ref = find(other.tenant, other.id)
  local row = ref and meeting(ref)
  local host = row and table_of(row[2]).server_id
  if host and call('EXISTS', server_key(host)) == 0 then host = false end
  if (host or nil) ~= other.server then return 0 end
  if host and (call('HGET', own('server', host), 'version') or '') ~= other.version then return 0 end
end
for name, value in pairs(poll.fields) do call('HSET', server_key(id), name, value) end
for name, value in pairs(poll.counters) do call('HSET', prefix .. id, name, value) end
for name, value in pairs(poll.own) do call('HSET', own('server', id), name, value) end
if poll.drained then set_state(id, 'disabled') end
set_load(id, poll.state, poll.load)
-- In their order: numbers pass from one meeting to the next.
for _, fate in ipairs(poll.fates) do
  local what, ref = fate[1], fate[2]
  if what == 'forget' then
    forget(ref)
  elseif what == 'detach' then
    detach(ref)
  else
    if what == 'seen' then attach(ref) end
    local is_attached = call('EXISTS', meeting_key(ref)) == 1
    if is_attached then renew(ref, id) end
    -- It may have expired since.
    if is_attached or call('HEXISTS', own('meeting', ref), 'detached') == 1 then
      if what == 'seen' then
        call('HDEL', own('meeting', ref), 'claim_token', 'claim_until', 'attempt')
        keep(ref)
      end
      call('HSET', own('meeting', ref), unpack(fate[3]))
    end
  end
end
for _, one in ipairs(poll.adopted) do
  local ref = find(one.meeting.tenant, one.meeting.id)
  if ref then forget(ref) end
  put(one.meeting, one.bridge and is_free(one.bridge) and one.bridge)
end
for _, field in ipairs(poll.settled) do call('HDEL', own('endings', id), field) end
bump(id)
if poll.changed then revise() end
return 1
