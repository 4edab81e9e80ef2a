-- Places a meeting on the server that was chosen, unless the ground for the choice has moved: tenant,
-- id, server, its load then, token, until, now, reserved, reserved_until, users, whether there is a
-- password, the password, voice bridges to try.
local tenant, id, host, load, token = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local ref = find(tenant, id)
if ref then
  local fields = table_of(call('HGETALL', own('meeting', ref)))
  if fields.claim_token ~= token or fields.server ~= host then return { 'again' } end
  -- This very request has been here: its answer was lost.
  return { 'won', call('HGET', meeting_key(ref), 'voice_bridge'), call('ZSCORE', LOAD, host) }
end
if call('ZSCORE', LOAD, host) ~= load then return { 'again' } end
local bridge
for at = 15, #ARGV do
  if is_free(ARGV[at]) then
    bridge = ARGV[at]
    break
  end
end
if not bridge then return { 'no bridge' } end
local seats = {
  'claim_token', token, 'claim_until', ARGV[8], 'placed_at', ARGV[9], 'seen_at', ARGV[9],
  'reserved', ARGV[10], 'reserved_until', ARGV[11], 'users', ARGV[12],
}
put(tenant, id, host, ARGV[13] == '1' and ARGV[14], bridge, seats)
add_load(host, taken(table_of(seats), ARGV[9]))
bump(host)
return { 'won', bridge, call('ZSCORE', LOAD, host) }
