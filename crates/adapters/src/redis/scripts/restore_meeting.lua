-- Stores a meeting unchanged, without counting it: JSON with the meeting, its voice bridge (may be
-- missing), whether it is detached. Returns 0 if the meeting exists or its server does not.
local request = cjson.decode(ARGV[3])
local meeting = request.meeting
if find_ref(meeting.tenant, meeting.id) or call('EXISTS', server_key(meeting.server)) == 0 then
  return 0
end
if request.detached then
  local ref = put_meeting(meeting, nil)
  detach_meeting(ref)
  -- A detached meeting remembers its voice bridge without holding it.
  if request.bridge then call('HSET', own_key('meeting', ref), 'voice_bridge', request.bridge) end
else
  put_meeting(meeting, request.bridge and is_bridge_free(request.bridge) and request.bridge)
end
increment_version(meeting.server)
return 1
