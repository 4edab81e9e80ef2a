-- Puts a meeting as it is: tenant, id, server, placed_at, seen_at, reserved, reserved_until, users,
-- whether there is a password, the password, whether there is a voice bridge, the voice bridge, and
-- if it is claimed token and until.
local tenant, id, host = ARGV[3], ARGV[4], ARGV[5]
if find(tenant, id) or call('EXISTS', server_key(host)) == 0 then return 0 end
local seats = {
  'placed_at', ARGV[6], 'seen_at', ARGV[7],
  'reserved', ARGV[8], 'reserved_until', ARGV[9], 'users', ARGV[10],
}
if ARGV[15] then
  for _, value in ipairs({ 'claim_token', ARGV[15], 'claim_until', ARGV[16] }) do
    seats[#seats + 1] = value
  end
end
local bridge = ARGV[13] == '1' and is_free(ARGV[14]) and ARGV[14]
put(tenant, id, host, ARGV[11] == '1' and ARGV[12], bridge, seats)
bump(host)
return 1
