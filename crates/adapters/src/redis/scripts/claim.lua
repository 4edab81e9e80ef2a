-- Places a meeting on the server that was chosen, unless the ground for the choice has moved. JSON
-- with the meeting, the server's load and count of places then, token, attempt, now, voice bridges to
-- try, endings.
local asked = cjson.decode(ARGV[3])
local one = asked.meeting
local host = one.server
local ref = find(one.tenant, one.id)
local row = ref and meeting(ref)
if row then
  local known = table_of(row[3])
  if known.claim_token == asked.token and known.attempt == asked.attempt then
    -- This very call has been here: its answer was lost.
    return { 'won', table_of(row[2]).voice_bridge, call('ZSCORE', LOAD, host), placed_on(host) }
  end
  if obstacle(row, asked.token, asked.now) ~= 'yields' then return { 'again' } end
end
if call('ZSCORE', LOAD, host) ~= asked.load or placed_on(host) ~= asked.placed then
  return { 'again' }
end
local _, taken_by_others = servers_of_others(one.tenant, one.id)
if taken_by_others[host] then return { 'again' } end
local bridge
for _, number in ipairs(asked.bridges) do
  if is_free(number, ref) then
    bridge = number
    break
  end
end
if not bridge then return { 'no bridge' } end
if row then undo(row) end
remember(asked.endings)
place(one, bridge, asked.now)
return { 'won', bridge, call('ZSCORE', LOAD, host), placed_on(host) }
