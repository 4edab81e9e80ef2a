-- Puts a meeting as it is: JSON with the meeting, perhaps its voice bridge, whether it is detached.
local asked = cjson.decode(ARGV[3])
local one = asked.meeting
if find(one.tenant, one.id) or call('EXISTS', server_key(one.server)) == 0 then return 0 end
if asked.detached then
  local ref = put(one, nil)
  detach(ref)
  -- It holds none.
  if asked.bridge then call('HSET', own('meeting', ref), 'voice_bridge', asked.bridge) end
else
  put(one, asked.bridge and is_free(asked.bridge) and asked.bridge)
end
bump(one.server)
return 1
