-- A server has a meeting: tenant, id, server, now, placed_at, reserved, reserved_until, users,
-- whether there is a password, the password, whether there is a voice bridge, the voice bridge.
local tenant, id, host, now = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local ref = find(tenant, id)
if ref then
  if call('HGET', meeting_key(ref), 'server_id') == host then
    local fields = own_fields(ref, host)
    if call('HGET', own('meeting', ref), 'server') ~= host then call('DEL', own('meeting', ref)) end
    call('HSET', own('meeting', ref), unpack(fields))
    call('HSET', own('meeting', ref), 'seen_at', now)
    call('HDEL', own('meeting', ref), 'claim_token', 'claim_until')
    keep(ref)
    bump(host)
  end
  return 1
end
local fields = table_of(call('HGETALL', server_key(host)))
if not fields.url or state_of(host, fields.state) == 'disabled' then return 0 end
local bridge = ARGV[13] == '1' and is_free(ARGV[14]) and ARGV[14]
local seats = {
  'placed_at', ARGV[7], 'seen_at', now,
  'reserved', ARGV[8], 'reserved_until', ARGV[9], 'users', ARGV[10],
}
put(tenant, id, host, ARGV[11] == '1' and ARGV[12], bridge, seats)
add_load(host, taken(table_of(seats), now))
bump(host)
return 1
