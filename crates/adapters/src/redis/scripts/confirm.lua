-- A server has a meeting: JSON with the meeting as it is put back, perhaps its voice bridge and the
-- token of its claim, now, endings.
local asked = cjson.decode(ARGV[3])
local one = asked.meeting
local host = one.server
local ref = find(one.tenant, one.id)
local row = ref and meeting(ref)
local home
if row then
  local known = table_of(row[3])
  if not (asked.token and known.claim_token == asked.token) then home = known.server end
end
local unwanted = {}
for _, ending in ipairs(asked.endings) do
  if ending[1] ~= home then unwanted[#unwanted + 1] = ending end
end
remember(unwanted)
if call('HDEL', own('endings', host), ending_field(one.tenant, one.id)) == 1 then bump(host) end
if row then
  local known = table_of(row[3])
  if known.server == host then
    if not known.detached then renew(ref, host) end
    call('HSET', own('meeting', ref), 'seen_at', asked.now)
    call('HDEL', own('meeting', ref), 'claim_token', 'claim_until', 'attempt')
    keep(ref)
    bump(host)
    return 1
  end
  if not asked.token or known.claim_token ~= asked.token then return 1 end
  -- A slower try was made here.
  undo(row)
end
local fields = table_of(call('HGETALL', server_key(host)))
if not fields.url or state_of(host, fields.state) == 'disabled' then return 0 end
place(one, asked.bridge and is_free(asked.bridge) and asked.bridge, asked.now)
return 1
